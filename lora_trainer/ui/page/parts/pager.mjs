/* Pages of a long list. */

import {make, write} from "../dom.mjs";
import {say} from "../texts.mjs";

/** {node, show(offset, total)}; `turn(offset)` hears where to go. Hidden while one page holds all. */
export function pager(size, turn) {
    let offset = 0;
    const where = make("span", {class: "lt-muted"});
    const step = (label, by, kind) => make("button", {type: "button", class: `lt-btn lt-btn-small lt-turn lt-${kind}`, "aria-label": label, title: label,
        onclick: (event) => event.currentTarget.getAttribute("aria-disabled") !== "true" && turn(offset + by)});
    const back = step(say("common.previous"), -size, "back"), on = step(say("common.next"), size, "on");
    const node = make("nav", {class: "lt-row lt-pager", "aria-label": say("common.pages"), hidden: true}, back, where, on);

    function show(at, total) {
        offset = at;
        node.hidden = total <= size;
        write(where, say("common.page", {page: Math.floor(at / size) + 1, pages: Math.max(1, Math.ceil(total / size))}));
        back.setAttribute("aria-disabled", String(at <= 0));
        on.setAttribute("aria-disabled", String(at + size >= total));
    }

    return {node, show};
}

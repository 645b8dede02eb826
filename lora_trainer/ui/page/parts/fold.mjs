/* What is there but not in the way. */

import {make} from "../dom.mjs";

/** A fold with a heading; `build()` is called when it is first opened. `remember`: a key under which it stays open. */
export function fold(title, build, {open = false, remember = "", hint = ""} = {}) {
    const key = `lora_trainer.fold.${remember}`;
    const body = make("div", {class: "lt-fold-body"});
    const node = make("details", {class: "lt-fold", open: open || Boolean(remember && localStorage.getItem(key))},
        make("summary", {}, make("span", {class: "lt-fold-title"}, title), hint ? make("span", {class: "lt-muted"}, hint) : null), body);
    const fill = () => node.open && !body.firstChild && body.append(...[build()].flat());
    fill();
    node.addEventListener("toggle", () => {
        fill();
        if (remember) node.open ? localStorage.setItem(key, "1") : localStorage.removeItem(key);
    });
    return node;
}

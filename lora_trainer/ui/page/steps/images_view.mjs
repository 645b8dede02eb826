/* One image, large, with its neighbours an arrow key away. */

import {picture} from "../api.mjs";
import {make, verbatim, write} from "../dom.mjs";
import {button} from "../parts/button.mjs";
import {dialog} from "../parts/dialog.mjs";
import {state} from "../state.mjs";
import {say} from "../texts.mjs";

/** Show `items[index]`; `moved(index)` hears which one is in sight. */
export function look(items, index, moved = () => {}) {
    let here = index;
    const image = make("img", {class: "lt-large", alt: ""}), name = verbatim("", "span", {class: "lt-large-name"});
    const facts = make("p", {class: "lt-muted"}), caption = make("p"), words = verbatim("");
    caption.append(words);
    const body = make("div", {class: "lt-stack", tabindex: -1}, make("div", {class: "lt-large-box"}, image), make("p", {}, name), facts, caption);

    function show(to) {
        if (!items[to]) return;
        here = to;
        const item = items[to];
        image.src = picture(`projects/${state.project.id}/images/${item.id}/full?v=${item.version || `${item.width}x${item.height}`}`);
        image.alt = item.name;
        write(name, item.name);
        write(facts, say("images.facts", {width: item.width, height: item.height, tokens: item.tokens}));
        write(words, item.caption || say("images.no_caption"));
        moved(to);
    }

    body.addEventListener("keydown", keys);
    function keys(event) {
        const by = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1}[event.key];
        if (!by) return;
        event.preventDefault();
        show(here + by);
    }

    show(index);
    const open = dialog(say("images.large"), [body], (close) => [
        button(say("images.previous"), () => show(here - 1)), button(say("images.next"), () => show(here + 1)), button(say("common.close"), () => close())], {wide: true});
    body.closest("dialog").addEventListener("keydown", (event) => event.target !== body && !body.contains(event.target) && keys(event));
    body.focus();
    return open;
}

/* One image, large, with its neighbours an arrow key away. */

import {picture, post} from "../api.mjs";
import {emit} from "../bus.mjs";
import {make, verbatim, write} from "../dom.mjs";
import {button, obey} from "../parts/button.mjs";
import {labelled} from "../parts/choices.mjs";
import {dialog} from "../parts/dialog.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";

const MOST_REPEATS = 1000;

/** Show `items[index]`; `moved(index)` hears which one is in sight. */
export function look(items, index, moved = () => {}) {
    let here = index;
    const image = make("img", {class: "lt-large", alt: ""}), name = verbatim("", "span", {class: "lt-large-name"});
    const facts = make("p", {class: "lt-muted"}), caption = make("p"), words = verbatim("");
    caption.append(words);
    const times = repeatsOf();
    const body = make("div", {class: "lt-stack", tabindex: -1}, make("div", {class: "lt-large-box"}, image), make("p", {}, name), facts, times.node, caption);

    function show(to) {
        if (!items[to]) return;
        times.show(items[to]);
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
        if (event.target.matches("input")) return;
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
    return open.finally(times.leave);
}

/** How often an epoch shows the image: a number of its own, or, where nothing is written, its folder's. */
function repeatsOf() {
    const input = make("input", {type: "number", class: "lt-number", min: 1, max: MOST_REPEATS, step: 1});
    const {node, error} = labelled(say("images.own_repeats"), input, {help: say("images.own_repeats_help"), inline: true});
    let item = null, project = "";

    async function save() {
        const own = input.value.trim(), count = own ? Math.round(Number(own)) : null, mine = item;
        if (!mine || own === String(mine.repeats)) return;
        if (count !== null && !(count >= 1 && count <= MOST_REPEATS)) {
            error(say("common.range", {low: 1, high: MOST_REPEATS}));
            return;
        }
        await post(`projects/${project}/repeats`, {image: mine.id, repeats: count});
        mine.repeats = count || ((state.project.folders || []).find((folder) => folder.path === mine.folder) || {repeats: 1}).repeats;
        if (mine === item) input.value = mine.repeats;
        await reload();
        emit("images");
    }

    const order = () => obey(input, save);
    input.addEventListener("change", order);
    return {node, leave: order, show(next) {
        if (item && next !== item) order();
        [item, project] = [next, state.project.id];
        error("");
        input.value = next.repeats;
    }};
}

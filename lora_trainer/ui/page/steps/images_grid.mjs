/* The images as tiles, a page at a time: chosen by mouse or keyboard, whatever their number. */

import {get, picture} from "../api.mjs";
import {on} from "../bus.mjs";
import {later, make, uid, verbatim, write} from "../dom.mjs";
import {pager} from "../parts/pager.mjs";
import {state} from "../state.mjs";
import {say} from "../texts.mjs";
import {look} from "./images_view.mjs";
import {isSelected, select, selected, toggle} from "./selection.mjs";

const PAGE = 60;

/** {node, refresh(), view({kind, sort, filter}), total()}; `onshown({total, shown})` hears what is in sight, `onremove()` the Delete key. */
export function grid({onshown = () => {}, onremove = () => {}} = {}) {
    const view = {offset: 0, kind: "all", sort: "name", filter: ""}, at = {active: 0, anchor: 0, asked: 0};
    const tiles = new Map(), prefix = uid();
    let items = [];
    const list = make("div", {class: "lt-tiles", role: "listbox", tabindex: 0, "aria-multiselectable": "true", "aria-label": say("images.grid"), id: prefix,
        onkeydown: keys, onclick: click, ondblclick: (event) => tileAt(event) >= 0 && open(tileAt(event))});
    const pages = pager(PAGE, (offset) => turn(offset));
    const empty = make("p", {class: "lt-muted lt-pad", hidden: true}, say("images.grid_empty"));
    const node = make("div", {class: "lt-stack"}, list, empty, pages.node);

    async function refresh() {
        const project = state.project, asked = ++at.asked;
        if (!project) return;
        list.setAttribute("aria-busy", "true");
        const found = await get(`projects/${project.id}/images`, {offset: view.offset, limit: PAGE, kind: view.kind, sort: view.sort, filter: view.filter});
        if (asked !== at.asked) return; // a newer question is under way
        if (!found.items.length && view.offset > 0) {
            view.offset = Math.max(0, Math.floor((found.shown - 1) / PAGE) * PAGE);
            refresh();
            return;
        }
        items = found.items;
        draw();
        list.removeAttribute("aria-busy");
        pages.show(view.offset, found.shown);
        empty.hidden = items.length > 0;
        list.hidden = !items.length;
        onshown(found);
    }

    function draw() {
        const ids = new Set(items.map((item) => item.id));
        for (const id of tiles.keys()) if (!ids.has(id)) tiles.delete(id);
        items.forEach((item, index) => {
            if (!tiles.has(item.id)) tiles.set(item.id, tile());
            tiles.get(item.id).show(item, `${prefix}_${index}`);
        });
        const wanted = items.map((item) => tiles.get(item.id).node);
        if (wanted.length !== list.children.length || wanted.some((one, index) => list.children[index] !== one)) list.replaceChildren(...wanted);
        point(Math.min(at.active, items.length - 1));
        mark();
    }

    const mark = () => items.forEach((item) => tiles.get(item.id)?.node.setAttribute("aria-selected", String(isSelected(item.id))));

    function point(index) {
        list.querySelector(".lt-active")?.classList.remove("lt-active");
        at.active = Math.max(0, index);
        const one = list.children[at.active];
        if (!one) return;
        one.classList.add("lt-active");
        list.setAttribute("aria-activedescendant", one.id);
    }

    function choose(index, {shiftKey, ctrlKey, metaKey}) {
        const id = items[index].id;
        if (shiftKey) {
            const [low, high] = [Math.min(at.anchor, index), Math.max(at.anchor, index)];
            select([...new Set([...(ctrlKey || metaKey ? selected() : []), ...items.slice(low, high + 1).map((item) => item.id)])]);
        } else if (ctrlKey || metaKey) toggle(id);
        else select(isSelected(id) && selected().length === 1 ? [] : [id]);
        if (!shiftKey) at.anchor = index;
        point(index);
    }

    const tileAt = (event) => {
        const one = event.target.closest(".lt-tile");
        return one ? [...list.children].indexOf(one) : -1;
    };

    function click(event) {
        const index = tileAt(event);
        if (index < 0) return;
        if (event.target.closest(".lt-tile-check")) toggle(items[index].id);
        else choose(index, event);
        if (event.target.closest(".lt-tile-check")) [at.anchor, at.active] = [index, index];
        point(index);
    }

    const open = (index) => look(items, index, (to) => point(to));

    function keys(event) {
        const across = Math.max(1, getComputedStyle(list).gridTemplateColumns.split(" ").length);
        const to = {ArrowRight: at.active + 1, ArrowLeft: at.active - 1, ArrowDown: at.active + across, ArrowUp: at.active - across, Home: 0, End: items.length - 1}[event.key];
        if (to !== undefined && items[to]) {
            point(to);
            if (event.shiftKey) choose(to, event);
            list.children[to].scrollIntoView({block: "nearest"});
        } else if (event.key === "PageDown" || event.key === "PageUp") turn(view.offset + (event.key === "PageDown" ? PAGE : -PAGE));
        else if (event.key === " ") toggle(items[at.active]?.id);
        else if (event.key === "Enter" && items[at.active]) open(at.active);
        else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) select(items.map((item) => item.id));
        else if (event.key === "Escape" && selected().length) select([]);
        else if (event.key === "Delete" && selected().length) onremove();
        else if (to === undefined) return;
        event.preventDefault();
    }

    function turn(offset) {
        if (offset < 0 || offset === view.offset) return;
        Object.assign(view, {offset});
        [at.active, at.anchor] = [0, 0];
        refresh();
    }

    on("selection", mark);
    const again = later(() => list.isConnected && refresh().catch(console.error), 60);
    return {
        node, refresh: again, pageIds: () => items.map((item) => item.id), viewed: () => ({...view}),
        view(changes) {
            Object.assign(view, changes, {offset: 0});
            return refresh();
        },
    };
}

/** One tile; its nodes stay while its image is on the page, so nothing flickers and nothing jumps. */
function tile() {
    const image = make("img", {loading: "lazy", decoding: "async", width: 160, height: 160, alt: ""});
    const name = verbatim("", "span", {class: "lt-tile-name", id: uid()}), marks = make("span", {class: "lt-tile-marks"});
    const node = make("div", {class: "lt-tile", role: "option"}, make("span", {class: "lt-tile-check", "aria-hidden": "true"}), image, name, marks);
    image.addEventListener("error", () => node.classList.add("lt-tile-broken"));

    function show(item, id) {
        const src = picture(thumbnail(item, 160));
        if (image.getAttribute("src") !== src) image.src = src;
        node.id = id;
        write(name, item.name);
        const words = [];
        if (!item.tags.length) words.push(["untagged", say("images.mark_untagged")]);
        if (item.parent) words.push(["derived", say("images.mark_derived")]);
        if (item.findings.length) words.push(["finding", say("images.mark_finding")]);
        marks.replaceChildren(...words.map(([kind, text]) => make("span", {class: `lt-mark lt-mark-${kind}`}, text)));
        node.title = say("images.tile", {name: item.name, width: item.width, height: item.height});
    }

    return {node, show};
}

/** The address of an image's thumbnail; the size of its content in it makes a changed image another one for the browser. */
export const thumbnail = (item, size) => `projects/${state.project.id}/images/${item.id}/thumb?size=${size}&v=${item.version || `${item.width}x${item.height}`}`;

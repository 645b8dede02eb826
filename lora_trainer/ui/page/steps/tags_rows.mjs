/* Images with their captions, to be read and typed into. What is typed is saved by itself, and says so. */

import {get, picture, putJson} from "../api.mjs";
import {emit, on} from "../bus.mjs";
import {later, make, uid, verbatim, write} from "../dom.mjs";
import {pager} from "../parts/pager.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";
import {thumbnail} from "./images_grid.mjs";
import {look} from "./images_view.mjs";
import {isSelected, toggle} from "./selection.mjs";

const PAGE = 20, SAVE_MS = 600, MOST_TOKENS = 75;

/** {node, refresh(), filter(text), flush(), untagged()}; `onshown({total, shown})` hears what is in sight. */
export function rows(onshown) {
    const view = {offset: 0, filter: ""}, known = new Map();
    let items = [], asked = 0;
    const list = make("ul", {class: "lt-rows", "aria-label": say("tags.rows")});
    const empty = make("p", {class: "lt-muted lt-pad", hidden: true}, say("tags.rows_empty"));
    const pages = pager(PAGE, (offset) => {
        view.offset = offset;
        load().then(() => list.scrollIntoView({block: "nearest"}));
    });
    const node = make("div", {class: "lt-stack lt-tight"}, list, empty, pages.node);

    async function load() {
        const project = state.project, mine = ++asked;
        if (!project) return;
        const found = await get(`projects/${project.id}/images`, {offset: view.offset, limit: PAGE, filter: view.filter, sort: "name"});
        if (mine !== asked) return;
        if (!found.items.length && view.offset) {
            view.offset = 0;
            await load();
            return;
        }
        items = withFocused(found.items);
        draw();
        pages.show(view.offset, found.shown);
        empty.hidden = items.length > 0;
        onshown(found);
    }

    /** The caption that is being typed stays in sight, although the filter may not find it any more. */
    function withFocused(fresh) {
        const at = items.findIndex((item) => known.get(item.id)?.node.contains(document.activeElement));
        if (at < 0 || fresh.some((item) => item.id === items[at].id)) return fresh;
        return [...fresh.slice(0, at), known.get(items[at].id).item(), ...fresh.slice(at)];
    }

    function draw() {
        const ids = new Set(items.map((item) => item.id));
        for (const [id, one] of known) {
            if (ids.has(id)) continue;
            one.flush();
            known.delete(id);
        }
        for (const [index, item] of items.entries()) {
            if (!known.has(item.id)) known.set(item.id, entry(item.id, step, (id) => look(items, items.findIndex((one) => one.id === id))));
            known.get(item.id).show(item);
            const own = known.get(item.id).node;
            if (list.children[index] !== own) list.insertBefore(own, list.children[index] || null); // a row that stays keeps its focus
        }
        while (list.children.length > items.length) list.lastChild.remove();
    }

    /** The caption above or below takes the focus. */
    function step(id, by) {
        const next = items[items.findIndex((item) => item.id === id) + by];
        if (next) known.get(next.id).focus();
    }

    on("selection", () => known.forEach((one) => one.mark()));
    const refresh = later(() => !node.closest(".lt-step")?.hidden && load().catch(console.error), 80);
    for (const name of ["images", "captions"]) on(name, refresh);
    window.addEventListener("pagehide", () => known.forEach((one) => one.flush()));
    return {
        node, refresh: load, flush: () => known.forEach((one) => one.flush()),
        /** Put the caret into the first empty caption below the one that has it, else the first of all; false without one. */
        untagged() {
            const all = items.map((item) => known.get(item.id)), here = all.findIndex((one) => one.focused());
            const next = [...all.slice(here + 1), ...all.slice(0, here + 1)].find((one) => one.empty() && !one.focused());
            if (next) next.focus();
            return Boolean(next);
        },
        filter(text) {
            Object.assign(view, {filter: text, offset: 0});
            return load();
        },
    };
}

function entry(id, step, enlarge) {
    const ids = {text: uid(), count: uid()};
    const image = make("img", {loading: "lazy", decoding: "async", width: 160, height: 160, alt: ""});
    const open = make("button", {type: "button", class: "lt-thumb", onclick: () => enlarge(id)}, image);
    const name = verbatim("", "span", {class: "lt-row-name"}), tokens = make("span", {class: "lt-tokens", id: ids.count}), saved = make("span", {class: "lt-saved", role: "status"});
    const pick = make("input", {type: "checkbox", onchange: () => toggle(id, pick.checked)});
    const text = make("textarea", {class: "lt-verbatim", id: ids.text, rows: 2, spellcheck: "false", "aria-describedby": ids.count, onkeydown: keys});
    const problem = make("p", {class: "lt-field-error", role: "alert", hidden: true});
    const node = make("li", {class: "lt-caption"}, make("label", {class: "lt-pick"}, pick), open,
        make("div", {class: "lt-caption-main"}, make("div", {class: "lt-row lt-caption-head"}, name, saved, tokens), text, problem));
    let kept = "", latest = null;

    const store = later(save, SAVE_MS);
    text.addEventListener("input", () => {
        write(saved, "");
        grow();
        store();
    });
    text.addEventListener("change", () => store.flush());

    async function save() {
        const value = text.value;
        if (value === kept) return;
        write(saved, say("tags.saving"));
        try {
            const item = await putJson(`projects/${state.project.id}/images/${id}/caption`, {text: value});
            kept = value;
            latest = {...latest, ...item};
            write(problem, "");
            text.removeAttribute("aria-invalid");
            write(saved, say("tags.saved"));
            count(item.tokens);
            emit("captions");
            reload();
        } catch (error) {
            write(saved, "");
            text.setAttribute("aria-invalid", "true");
            write(problem, error.message);
        }
    }

    function count(number) {
        write(tokens, say("tags.tokens", {count: number, most: MOST_TOKENS}));
        tokens.classList.toggle("lt-over", number > MOST_TOKENS);
        tokens.title = number > MOST_TOKENS ? say("tags.tokens_over") : "";
    }

    /** As high as its text, without a jump while it is typed. */
    function grow() {
        text.style.height = "auto";
        text.style.height = `${text.scrollHeight + 2}px`;
    }

    function show(item) {
        latest = item;
        const src = picture(thumbnail(item, 160));
        if (image.getAttribute("src") !== src) image.src = src;
        write(name, item.name);
        open.setAttribute("aria-label", say("tags.enlarge", {name: item.name}));
        text.setAttribute("aria-label", say("tags.caption_of", {name: item.name}));
        pick.setAttribute("aria-label", say("tags.choose", {name: item.name}));
        count(item.tokens);
        mark();
        if (store.waiting() || (text === document.activeElement && text.value !== kept)) return; // the user is ahead of the server
        kept = item.caption;
        const told = fold(text.value) === fold(item.caption) && text === document.activeElement; // do not move the caret for a space
        if (!told && text.value !== item.caption) text.value = item.caption;
        requestAnimationFrame(grow);
    }

    function mark() {
        pick.checked = isSelected(id);
        node.classList.toggle("lt-is-chosen", pick.checked);
    }

    function keys(event) {
        const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
        if (!by || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        step(id, by);
    }

    return {node, show, mark, item: () => latest, flush: () => store.flush(), focus: () => text.focus(), focused: () => text === document.activeElement, empty: () => !fold(text.value)};
}

const fold = (caption) => caption.split(",").map((tag) => tag.trim()).filter(Boolean).join(",");

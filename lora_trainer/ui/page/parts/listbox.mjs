/* A list to choose from by mouse or keyboard; one choice, or several with Ctrl, Shift and the space bar. */

import {make, uid} from "../dom.mjs";

const PAGE = 10;

/** `options`: [{key, label, note, verbatim}]. {node, fill(options), select(keys), selected()}; `onselect(keys, event)` hears choices. */
export function listbox(label, {multiple = false, onselect = () => {}} = {}) {
    const prefix = uid();
    let options = [], chosen = new Set(), active = 0, anchor = 0;
    const node = make("div", {class: "lt-listbox", role: "listbox", tabindex: 0, "aria-label": label, "aria-multiselectable": String(multiple), onkeydown: keys, onclick: click});
    const rowOf = (index) => node.children[index];

    function fill(fresh) {
        const at = options[active] && options[active].key;
        options = fresh;
        active = Math.max(0, options.findIndex((option) => option.key === at));
        node.replaceChildren(...options.map((option, index) => make("div", {class: "lt-option", role: "option", id: `${prefix}_${index}`, data: {index},
            "aria-selected": String(chosen.has(option.key))},
        make("span", {class: option.verbatim ? "lt-option-name lt-verbatim" : "lt-option-name"}, option.label),
        option.note === undefined ? null : make("span", {class: "lt-option-note"}, option.note))));
        point(active, false);
    }

    function point(index, scroll = true) {
        rowOf(active)?.classList.remove("lt-active");
        active = Math.min(Math.max(0, index), options.length - 1);
        const row = rowOf(active);
        if (!row) return node.removeAttribute("aria-activedescendant");
        row.classList.add("lt-active");
        node.setAttribute("aria-activedescendant", row.id);
        if (scroll) keepSeen(row);
        return undefined;
    }

    function keepSeen(row) { // only the list scrolls, never the page
        const top = row.offsetTop - node.offsetTop;
        if (top < node.scrollTop) node.scrollTop = top;
        else if (top + row.offsetHeight > node.scrollTop + node.clientHeight) node.scrollTop = top + row.offsetHeight - node.clientHeight;
    }

    function mark() {
        options.forEach((option, index) => rowOf(index).setAttribute("aria-selected", String(chosen.has(option.key))));
    }

    function choose(index, event) {
        const key = options[index]?.key;
        if (key === undefined) return;
        if (multiple && event.shiftKey) {
            const [low, high] = [Math.min(anchor, index), Math.max(anchor, index)];
            chosen = new Set(options.slice(low, high + 1).map((option) => option.key));
        } else if (multiple && (event.ctrlKey || event.metaKey || event.key === " ")) {
            if (!chosen.delete(key)) chosen.add(key);
            anchor = index;
        } else {
            chosen = chosen.size === 1 && chosen.has(key) ? new Set() : new Set([key]);
            anchor = index;
        }
        mark();
        point(index);
        onselect([...chosen], event);
    }

    function click(event) {
        const row = event.target.closest(".lt-option");
        if (row) choose(Number(row.dataset.index), event);
    }

    function keys(event) {
        const to = {ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + PAGE, PageUp: active - PAGE, Home: 0, End: options.length - 1}[event.key];
        if (to !== undefined) point(to);
        else if (event.key === "Enter" || event.key === " ") choose(active, event);
        else if (event.key === "Escape" && chosen.size) {
            select([]);
            onselect([], event);
        } else return;
        event.preventDefault();
    }

    function select(wanted) {
        chosen = new Set(wanted);
        mark();
    }

    return {node, fill, select, selected: () => [...chosen]};
}

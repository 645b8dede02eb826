/* A button that opens a menu: arrows move, Enter takes, Esc closes and gives the focus back. */

import {make, uid} from "../dom.mjs";
import {obey} from "./button.mjs";

/** `items()` → [{label, hint, onclick, verbatim, checked, danger} or null for a line]; asked anew at every opening (may be async). */
export function menu(label, items, {kind = "plain", title, small = false} = {}) {
    const id = uid();
    const list = make("ul", {class: "lt-menu", role: "menu", id, hidden: true});
    const opener = make("button", {type: "button", class: `lt-btn lt-btn-${kind} lt-menu-button${small ? " lt-btn-small" : ""}`, "aria-haspopup": "menu", "aria-expanded": "false",
        "aria-controls": id, title, onclick: () => (list.hidden ? obey(opener, open) : close(true))}, label);
    const node = make("div", {class: "lt-menu-box", onkeydown: keys}, opener, list);
    const away = (event) => node.contains(event.target) || close(false);

    async function open() {
        const found = await items();
        list.replaceChildren(...found.map((item) => (item ? entry(item) : make("li", {role: "separator", class: "lt-menu-line"}))));
        list.hidden = false;
        opener.setAttribute("aria-expanded", "true");
        list.classList.toggle("lt-menu-left", list.getBoundingClientRect().right > document.documentElement.clientWidth);
        document.addEventListener("pointerdown", away);
        (list.querySelector("[aria-checked=true]") || list.querySelector("button"))?.focus();
    }

    function entry(item) {
        const role = item.checked === undefined ? "menuitem" : "menuitemradio";
        const pick = make("button", {type: "button", role, "aria-checked": item.checked === undefined ? null : String(item.checked),
            tabindex: -1, class: item.danger ? "lt-menu-danger" : "", onclick: () => {
                close(true);
                obey(opener, item.onclick);
            }}, make("span", {class: item.verbatim ? "lt-verbatim" : ""}, item.label), item.hint ? make("span", {class: "lt-muted"}, item.hint) : null);
        return make("li", {role: "none"}, pick);
    }

    function close(back) {
        document.removeEventListener("pointerdown", away);
        list.hidden = true;
        opener.setAttribute("aria-expanded", "false");
        if (back) opener.focus();
    }

    function keys(event) {
        if (list.hidden) return;
        const picks = [...list.querySelectorAll("button")], here = picks.indexOf(document.activeElement);
        const to = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: -1}[event.key];
        if (event.key === "Escape" || event.key === "Tab") close(event.key === "Escape");
        if (to === undefined) return;
        event.preventDefault();
        picks.at(to >= picks.length ? 0 : to)?.focus();
    }

    return {node, opener, label: (text) => opener.replaceChildren(text)};
}

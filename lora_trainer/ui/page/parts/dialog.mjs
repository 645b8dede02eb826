/* Questions that have to be answered first. The browser's own dialog keeps the focus inside, closes at Esc and gives it back. */

import {make, uid} from "../dom.mjs";
import {say} from "../texts.mjs";
import {button, row} from "./button.mjs";

const root = () => document.getElementById("lora_trainer");

/** Open a dialog with these nodes; `actions(close)` makes its buttons. Resolves with what `close(value)` was given; Esc: null. */
export function dialog(title, content, actions, {wide = false} = {}) {
    return new Promise((resolve) => {
        const heading = uid();
        let result = null;
        const close = (value = null) => {
            result = value;
            node.close();
        };
        const node = make("dialog", {class: `lt-dialog${wide ? " lt-wide" : ""}`, "aria-labelledby": heading},
            make("h3", {id: heading}, title), make("div", {class: "lt-dialog-body"}, content), row(...actions(close)));
        node.addEventListener("close", () => {
            node.remove();
            resolve(result);
        });
        node.addEventListener("click", (event) => event.target === node && outside(node, event) && close());
        root().append(node);
        node.showModal();
    });
}

function outside(node, event) {
    const box = node.getBoundingClientRect();
    return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/** Ask yes or no: true only when `yes` was pressed. */
export async function confirm(title, text, {yes = say("common.ok"), no = say("common.cancel"), danger = false} = {}) {
    const body = (Array.isArray(text) ? text : [text]).map((one) => (typeof one === "string" ? make("p", {}, one) : one));
    return Boolean(await dialog(title, body, (close) => [
        button(yes, () => close(true), {kind: danger ? "danger" : "primary"}), button(no, () => close(false), {autofocus: danger})]));
}

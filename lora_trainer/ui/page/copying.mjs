/* Text that is wanted elsewhere. */

import {make, uid, write} from "./dom.mjs";
import {announce} from "./live.mjs";
import {button} from "./parts/button.mjs";
import {say} from "./texts.mjs";

const SAID_MS = 1500;

async function toClipboard(text, near) {
    try {
        await navigator.clipboard.writeText(text);
    } catch (error) { // a page that is not served safely has no clipboard
        const box = make("textarea", {class: "lt-away", value: text});
        near.after(box); // not at the page's end: a dialog would not let it be selected
        box.select();
        document.execCommand("copy");
        box.remove();
    }
}

/** A button that copies what `text()` gives, and says so. */
export function copyButton(text, label = say("common.copy")) {
    const node = button(label, async () => {
        await toClipboard(text(), node);
        write(node, say("common.copied"));
        announce(say("common.copied"));
        setTimeout(() => write(node, label), SAID_MS);
    }, {small: true});
    return node;
}

/** A line to be copied, such as the LoRA's call for a prompt. {node, show(text)}. */
export function copyLine(label, text = "") {
    const id = uid(), box = make("input", {type: "text", id, readOnly: true, value: text, class: "lt-verbatim", onfocus: () => box.select()});
    const node = make("div", {class: "lt-copy"}, make("label", {class: "lt-away", htmlFor: id}, label), box, copyButton(() => box.value));
    return {node, show: (fresh) => { box.value = fresh; }};
}

/* The expression that decides which images are shown: "hat and not smile". */

import {later, make, uid} from "../dom.mjs";
import {labelled} from "../parts/choices.mjs";
import {say} from "../texts.mjs";

const SETTLE_MS = 350;
const WORDS = new Set(["and", "or", "not"]);

/** The filter that finds exactly this tag, in quotes only where it would be read otherwise. */
export function exactly(tag) {
    const plain = /^[\p{L}\p{N}_\-':;.+/&%!?#]+( [\p{L}\p{N}_\-':;.+/&%!?#]+)*$/u.test(tag) && !tag.split(" ").some((word) => WORDS.has(word.toLowerCase()));
    return plain ? tag : `"${tag.replace(/[\\"*“”]/g, "\\$&")}"`;
}

/** {node, get(), set(text), error(text)}; `onchange(text)` hears what was typed once it has settled. */
export function filtering(onchange) {
    const input = make("input", {type: "search", class: "lt-verbatim", placeholder: say("tags.filter_example"), autocomplete: "off", spellcheck: "false", id: uid()});
    const box = labelled(say("tags.filter"), input);
    const help = make("details", {class: "lt-inline-help"}, make("summary", {}, say("tags.filter_how")), make("ul", {class: "lt-notes"}, ...["and", "group", "star", "none", "quotes"].map((part) =>
        make("li", {}, make("code", {}, say(`tags.filter_${part}`)), " ", make("span", {}, say(`tags.filter_${part}_help`))))));
    const tell = later(() => onchange(input.value.trim()), SETTLE_MS);
    input.addEventListener("input", () => {
        box.error("");
        tell();
    });
    input.addEventListener("keydown", (event) => event.key === "Enter" && tell.flush());
    return {
        node: make("div", {class: "lt-filter"}, box.node, help), get: () => input.value.trim(), error: box.error,
        set(text) {
            input.value = text;
            box.error("");
            return onchange(text);
        },
    };
}

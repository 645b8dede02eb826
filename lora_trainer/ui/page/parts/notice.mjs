/* Sentences that stand out: a problem, a warning, something to know. */

import {make, replace, uid} from "../dom.mjs";
import {alertUser} from "../live.mjs";
import {say} from "../texts.mjs";

/** A box with a sentence (or nodes). `kind`: "problem", "warning", "note" or "done"; `detail` folds below with its copy button. */
export function notice(kind, content, {actions = [], detail = "", onclose} = {}) {
    return make("div", {class: `lt-notice lt-notice-${kind}`},
        make("div", {class: "lt-notice-text lt-verbatim"}, typeof content === "string" ? make("p", {}, content) : content,
            detail ? make("details", {}, make("summary", {}, say("common.detail")), make("pre", {tabindex: 0}, detail)) : null),
        actions.length ? make("div", {class: "lt-row"}, ...actions) : null,
        onclose ? make("button", {type: "button", class: "lt-close", "aria-label": say("common.close"), onclick: onclose}) : null);
}

/** Show what went wrong beside `node` (after its row), said aloud too; the next call for the same place replaces it. */
export function tellProblem(node, error) {
    const row = node.closest("[data-problems]") || node.closest(".lt-row") || node;
    clearProblem(node);
    if (error.key === "aborted") return;
    if (error.name !== "ApiError") console.error(error);
    const text = error.name === "ApiError" ? error.message : say("common.page_failed", {reason: String(error.message || error)});
    const box = notice("problem", text, {onclose: () => box.remove()});
    row.dataset.problem = box.id = uid();
    row.after(box);
    alertUser(text);
}

/** Take away what `tellProblem` put there. */
export function clearProblem(node) {
    const row = node.closest("[data-problems]") || node.closest(".lt-row") || node;
    const old = row.dataset.problem && document.getElementById(row.dataset.problem);
    if (old) old.remove();
}

/** Show a notice above the steps, in place of the one before. */
export function news(kind, content, options = {}) {
    const box = notice(kind, content, {...options, onclose: () => box.remove()});
    replace(document.querySelector("#lora_trainer .lt-news"), box);
    return box;
}

/* Buttons. While an async order is under way the button waits; what it throws is shown beside it. */

import {make} from "../dom.mjs";
import {clearProblem, tellProblem} from "./notice.mjs";

/** A button. `kind`: "primary", "plain", "quiet" or "danger". Its order may be async and may throw. */
export function button(label, order, {kind = "plain", small = false, ...attributes} = {}) {
    const node = make("button", {type: "button", ...attributes, class: `lt-btn lt-btn-${kind}${small ? " lt-btn-small" : ""} ${attributes.class || ""}`.trim()}, label);
    node.addEventListener("click", (event) => obey(node, () => order(event, node)));
    return node;
}

/** Do an order on behalf of `node`: a second press waits for the first, a failure is told beside it. */
export async function obey(node, order) {
    if (node.getAttribute("aria-busy") === "true") return undefined;
    try {
        clearProblem(node);
        const going = order();
        if (!(going instanceof Promise)) return going;
        node.setAttribute("aria-busy", "true");
        return await going;
    } catch (error) {
        tellProblem(node, error);
        return undefined;
    } finally {
        node.removeAttribute("aria-busy");
    }
}

/** A row of buttons and what belongs to them. */
export const row = (...children) => make("div", {class: "lt-row"}, ...children);

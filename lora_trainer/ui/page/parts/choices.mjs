/* A question with a few answers, all in sight. */

import {make, uid} from "../dom.mjs";

/** `options`: [[value, label, hint]…]. {node, get(), set(value)}; `onchange(value)` hears the user. */
export function choices(label, options, {value, onchange = () => {}} = {}) {
    const name = uid();
    const inputs = options.map(([own, text, hint]) => {
        const input = make("input", {type: "radio", name, value: own, checked: own === value, onchange: () => onchange(own)});
        return {own, input, node: make("label", {class: "lt-choice-one"}, input, make("span", {}, make("span", {}, text), hint ? make("span", {class: "lt-help"}, hint) : null))};
    });
    const node = make("fieldset", {class: "lt-choices"}, make("legend", {class: "lt-label"}, label), make("div", {class: "lt-choices-row"}, ...inputs.map((one) => one.node)));
    const set = (wanted) => inputs.forEach((one) => { one.input.checked = one.own === wanted; });
    return {node, set, get: () => (inputs.find((one) => one.input.checked) || {}).own};
}

/** A labelled input, select or textarea with help below; `error(text)` marks it. */
export function labelled(label, input, {help = "", inline = false} = {}) {
    const ids = {input: input.id || uid(), help: uid(), error: uid()};
    input.id = ids.input;
    input.setAttribute("aria-describedby", `${help ? ids.help : ""} ${ids.error}`.trim());
    const problem = make("p", {class: "lt-field-error", id: ids.error, hidden: true});
    const node = make("div", {class: `lt-field${inline ? " lt-inline" : ""}`}, make("label", {htmlFor: ids.input}, label), input,
        help ? make("p", {class: "lt-help", id: ids.help}, help) : null, problem);
    const error = (text) => {
        problem.textContent = text || "";
        problem.hidden = !text;
        if (text) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
    };
    return {node, input, error};
}

/** A checkbox with its words beside it. */
export function check(label, {checked = false, onchange = () => {}, ...attributes} = {}) {
    const input = make("input", {type: "checkbox", checked, onchange: () => onchange(input.checked), ...attributes});
    return {node: make("label", {class: "lt-check"}, input, make("span", {}, label)), input};
}

/** A select: `options` [[value, label]…]. */
export function select(options, {value, onchange = () => {}, ...attributes} = {}) {
    const node = make("select", {...attributes, value, onchange: () => onchange(node.value)}, ...options.map(([own, label]) => make("option", {value: own}, label)));
    return node;
}

/* One control for one setting of the schema: plain name, help, unit and range; the raw name shows on hover. */

import {make, uid, write} from "../dom.mjs";
import {say} from "../texts.mjs";

const pair = (choice) => (Array.isArray(choice) ? choice : typeof choice === "object" && choice ? [choice.value, choice.label] : [choice, String(choice)]);

/** `spec` is a field of `GET schema`; `onchange(value)` hears finished changes (a number, a bool, a text, a list), `onreset()` the
    reset button. {node, input, name, get(), set(value), changed(bool), error(text), reason(text), base(value) of the preset, lock(bool), show(bool)}. */
export function field(spec, {value, changed = false, reason = "", onchange = () => {}, onreset} = {}) {
    const ids = {input: uid(), help: uid(), error: uid()};
    const input = control(spec, ids);
    const problem = make("p", {class: "lt-field-error", id: ids.error, hidden: true});
    const because = make("p", {class: "lt-field-reason", hidden: !reason}, reason);
    const mark = make("span", {class: "lt-changed", hidden: true}, make("span", {class: "lt-away"}, say("common.changed")));
    const reset = make("button", {type: "button", class: "lt-reset", hidden: true, "aria-label": say("common.reset_field", {name: spec.label}),
        title: say("common.reset"), onclick: () => (onreset ? onreset() : put(spec.default))}, say("common.reset"));
    const label = make("label", {htmlFor: ids.input, title: spec.name}, spec.label);
    const node = make("div", {class: `lt-field lt-field-${spec.kind}`, data: {field: spec.name}},
        make("div", {class: "lt-field-head"}, spec.kind === "bool" ? input.node : null, label, mark, reset),
        spec.kind === "bool" ? null : make("div", {class: "lt-field-control"}, input.node, spec.unit ? make("span", {class: "lt-unit"}, spec.unit) : null),
        spec.help ? make("p", {class: "lt-help", id: ids.help}, spec.help) : null, because, problem);

    input.listen(() => {
        error("");
        try {
            onchange(input.get());
        } catch (wrong) {
            error(wrong.message);
        }
    });

    function put(fresh) {
        input.set(fresh);
        onchange(fresh);
    }

    function error(text) {
        write(problem, text);
        node.classList.toggle("lt-wrong", Boolean(text));
        if (text) input.input.setAttribute("aria-invalid", "true");
        else input.input.removeAttribute("aria-invalid");
    }

    function setChanged(is) {
        mark.hidden = reset.hidden = !is;
        node.classList.toggle("lt-is-changed", is);
    }

    input.set(value === undefined ? spec.default : value);
    setChanged(changed);
    return {
        node, name: spec.name, input: input.input, get: input.get, set: input.set, changed: setChanged, error,
        reason: (text) => write(because, text),
        base: (value) => { reset.title = say("common.reset_to", {value: brief(spec, value)}); },
        lock: (locked) => { input.input.disabled = reset.disabled = locked; },
        show: (shown) => { node.hidden = !shown; },
    };
}

function control(spec, ids) {
    const shared = {id: ids.input, name: spec.name, "aria-describedby": `${spec.help ? ids.help : ""} ${ids.error}`.trim(), autocomplete: "off", spellcheck: "false"};
    if (spec.kind === "bool") return checkbox(shared);
    if (spec.kind === "choice") return select(spec, shared);
    if (spec.kind === "lines") return area(shared);
    return line(spec, shared, ids);
}

/** A value in a few words, for a hint. */
function brief(spec, value) {
    if (typeof value === "boolean") return say(value ? "train.yes" : "train.no");
    return shown(spec, (spec.choices || []).map(pair).find(([own]) => own === value)?.[1] ?? value) || say("train.empty");
}

function checkbox(shared) {
    const input = make("input", {...shared, type: "checkbox"});
    return {node: input, input, get: () => input.checked, set: (value) => { input.checked = Boolean(value); }, listen: (fn) => input.addEventListener("change", fn)};
}

function select(spec, shared) {
    const pairs = (spec.choices || []).map(pair);
    const input = make("select", shared, ...pairs.map(([, label], index) => make("option", {value: String(index)}, label)));
    return {
        node: input, input, get: () => pairs[input.selectedIndex]?.[0],
        set: (value) => { input.selectedIndex = pairs.findIndex(([own]) => own === value); },
        listen: (fn) => input.addEventListener("change", fn),
    };
}

function area(shared) {
    const input = make("textarea", {...shared, rows: 3});
    return {
        node: input, input, get: () => input.value.split("\n").map((text) => text.trim()).filter(Boolean),
        set: (value) => { input.value = Array.isArray(value) ? value.join("\n") : value || ""; }, listen: (fn) => input.addEventListener("change", fn),
    };
}

function line(spec, shared, ids) {
    const numeric = spec.kind === "int" || spec.kind === "float";
    const list = spec.kind === "suggest" && spec.choices ? `${ids.input}_list` : null;
    const input = make("input", {...shared, type: "text", inputmode: numeric ? (spec.kind === "int" ? "numeric" : "decimal") : null, list,
        placeholder: numeric ? range(spec) : null});
    const node = list ? make("span", {class: "lt-suggest"}, input, make("datalist", {id: list}, ...spec.choices.map(pair).map(([value, label]) =>
        make("option", {value: String(value)}, label === String(value) ? null : label)))) : input;
    if (numeric) input.title = range(spec);
    return {node, input, get: () => read(spec, input.value), set: (value) => { input.value = shown(spec, value); }, listen: (fn) => input.addEventListener("change", fn)};
}

function range({low, high}) {
    if (low !== null && low !== undefined && high !== null && high !== undefined) return say("common.range", {low, high});
    if (low !== null && low !== undefined) return say("common.at_least", {low});
    return high !== null && high !== undefined ? say("common.at_most", {high}) : "";
}

function shown(spec, value) {
    if (value === null || value === undefined) return "";
    return Array.isArray(value) ? value.join(", ") : String(value);
}

function read(spec, text) {
    const trimmed = text.trim();
    if (spec.kind === "numbers") return trimmed ? trimmed.split(/[\s,，、]+/).map((part) => number(spec, part)) : [];
    if (spec.kind !== "int" && spec.kind !== "float") return trimmed;
    if (!trimmed && spec.default === null) return null;
    return number(spec, trimmed);
}

function number(spec, text) {
    const value = Number(text.replace(",", "."));
    if (text === "" || !Number.isFinite(value) || (spec.kind === "int" && !Number.isInteger(value))) throw new RangeError(say(spec.kind === "int" ? "common.whole_number" : "common.number"));
    const outside = (spec.low !== null && spec.low !== undefined && value < spec.low) || (spec.high !== null && spec.high !== undefined && value > spec.high);
    if (outside) throw new RangeError(range(spec));
    return value;
}

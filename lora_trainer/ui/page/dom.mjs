/* Nodes without a framework. What users typed only ever becomes text, a value or an attribute here, never markup. */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "indeterminate", "readOnly", "htmlFor", "open", "tabIndex", "draggable"]);
const SVG = "http://www.w3.org/2000/svg";
let counted = 0;

function fill(node, attributes, children) {
    const late = [];
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === undefined || value === null) continue;
        if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
        else if (name === "data") Object.assign(node.dataset, value);
        else if (name === "style") for (const [part, text] of Object.entries(value)) node.style.setProperty(part, text);
        else if (PROPERTIES.has(name) && name in node) late.push([name, value]); // a select's value needs its options first
        else if (value !== false || name.startsWith("aria-")) node.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
    }
    append(node, children);
    for (const [name, value] of late) node[name] = value;
    return node;
}

function append(node, children) {
    for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child);
}

/** An element. `on…` functions listen, `data` fills the dataset, `style` sets properties; text children are only text. */
export const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** A node's children are these now; the focus stays with what has the same `data-focus` or id. */
export function replace(node, ...children) {
    const had = node.contains(document.activeElement) ? document.activeElement : null;
    const key = had && (had.dataset.focus || had.id), [start, end] = caret(had);
    node.replaceChildren();
    append(node, children);
    if (!key || had.isConnected) return node;
    const again = [...node.querySelectorAll("[data-focus], [id]")].find((one) => (one.dataset.focus || one.id) === key);
    if (again) again.focus({preventScroll: true});
    if (again && start !== null) again.setSelectionRange(start, end);
    return node;
}

function caret(node) {
    try {
        return node && node.selectionStart !== null && node.selectionStart !== undefined ? [node.selectionStart, node.selectionEnd] : [null, null];
    } catch (error) { // kinds of inputs that have none
        return [null, null];
    }
}

/** A node's text, touched only when it changes; without text it is hidden. */
export function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
    node.hidden = !text;
    return node;
}

/** An id that nothing else on the page has. */
export function uid() {
    counted += 1;
    return `lt_${counted}`;
}

/** A span that only screen readers find. */
export const whispered = (text) => make("span", {class: "lt-away"}, text);

/** Text that a user typed: a node that the WebUI's translation passes over. */
export function verbatim(text, tag = "span", attributes = {}) {
    return make(tag, {...attributes, class: `lt-verbatim ${attributes.class || ""}`.trim()}, text);
}

/** `fn` once nothing has called for `ms`; `.flush()` does at once what waits, `.waiting()` tells whether something does. */
export function later(fn, ms) {
    let timer = 0, values = null;
    const act = () => {
        clearTimeout(timer);
        const now = values;
        [timer, values] = [0, null];
        return now && fn(...now);
    };
    const call = (...given) => {
        values = given;
        clearTimeout(timer);
        timer = setTimeout(act, ms);
    };
    return Object.assign(call, {flush: act, waiting: () => values !== null});
}

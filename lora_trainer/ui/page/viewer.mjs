/* Pictures in full size, in rows and columns: the arrow keys walk from one to the next, passing over what is missing. */

import {picture} from "./api.mjs";
import {make, write} from "./dom.mjs";
import {button} from "./parts/button.mjs";
import {dialog} from "./parts/dialog.mjs";
import {say} from "./texts.mjs";

const WAYS = {ArrowLeft: [0, -1, "left"], ArrowRight: [0, 1, "right"], ArrowUp: [-1, 0, "up"], ArrowDown: [1, 0, "down"]};

/** The nearest cell that is there in a direction, or null. */
export function nextCell(cells, {row, column}, [down, right]) {
    for (let at = {row: row + down, column: column + right}; cells[at.row] && at.column >= 0 && at.column < cells[at.row].length;
        at = {row: at.row + down, column: at.column + right}) {
        if (cells[at.row][at.column]) return at;
    }
    return null;
}

/** Open at a place. `cells[row][column]` is {url, alt, title, text} or nothing; `names` labels the four ways; `actions(here, close)`
    makes further buttons, `keys(event, here, close)` may take further keys. Resolves with the place that was shown last. */
export async function openViewer(cells, {row, column, name, names, actions = () => [], keys = () => false}) {
    let here = {row, column};
    const image = make("img", {class: "lt-full"}), title = make("strong", {}), text = make("span", {class: "lt-verbatim"});
    const ways = Object.entries(WAYS).filter(([, way]) => names[way[2]]).map(([key, way]) =>
        ({way, node: button(names[way[2]], () => go(way), {kind: "quiet", small: true, class: `lt-way lt-way-${way[2]}`, "aria-keyshortcuts": key})}));
    const content = make("div", {class: "lt-viewer"}, make("div", {class: "lt-full-room"}, image),
        make("p", {class: "lt-viewer-text", "aria-live": "polite"}, title, " ", text), make("div", {class: "lt-ways"}, ...ways.map((way) => way.node)));
    show();
    const closed = dialog(name, content, (close) => {
        content.addEventListener("lt-keys", (event) => keys(event.detail, here, close));
        return [...actions(() => here, close), button(say("common.close"), () => close())];
    }, {wide: true});
    content.closest("dialog").classList.add("lt-viewer-dialog");
    content.closest("dialog").addEventListener("keydown", (event) => {
        if (event.target.matches("select, input")) return;
        if (WAYS[event.key]) {
            event.preventDefault();
            go(WAYS[event.key]);
        } else content.dispatchEvent(new CustomEvent("lt-keys", {detail: event}));
    });
    await closed;
    return here;

    function go(way) {
        here = nextCell(cells, here, way) || here;
        show();
    }

    function show() {
        const cell = cells[here.row][here.column];
        image.src = picture(cell.url);
        image.alt = cell.alt;
        write(title, cell.title);
        write(text, cell.text || "");
        for (const {way, node} of ways) node.setAttribute("aria-disabled", String(!nextCell(cells, here, way)));
    }
}

/** Two pictures side by side. `choices` are [{value, label}] of what can stand on either side, `pick(value)` gives {url, alt, title}. */
export function openCompare({choices, left, right, pick, actions}) {
    const sides = [left, right].map((value, at) => compareSide(choices, value, pick, say(at ? "results.right" : "results.left")));
    return dialog(say("results.compare_title"), make("div", {class: "lt-compare"}, ...sides.map((side) => side.node)),
        (close) => [...actions(sides, close), button(say("common.close"), () => close())], {wide: true});
}

function compareSide(choices, value, pick, label) {
    const image = make("img", {class: "lt-full"}), room = make("div", {class: "lt-full-room"}, image);
    const select = make("select", {class: "lt-select", "aria-label": label, onchange: () => show()},
        ...choices.map((choice) => make("option", {value: choice.value}, choice.label)));
    select.value = value;
    const title = make("p", {class: "lt-muted"}), node = make("div", {class: "lt-side"}, select, room, title);
    show();
    return {node, value: () => select.value};

    function show() {
        const cell = pick(select.value);
        image.hidden = !cell;
        if (!cell) return;
        image.src = picture(cell.url);
        image.alt = cell.alt;
        write(title, cell.title);
    }
}

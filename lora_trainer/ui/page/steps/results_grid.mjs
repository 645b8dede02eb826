/** The grid of epochs and weights for one prompt: a table to walk through with the arrow keys. */
import {make, replace} from "../dom.mjs";
import {picture} from "../api.mjs";
import {say} from "../texts.mjs";

const MARKS = {best: " lt-best", next: " lt-next"};
const MOVES = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

/** What is where: rows are epochs, column 0 is the picture without the LoRA, the others are weights. */
export function gridModel(grid, prompt, seed) {
    const byPlace = new Map();
    for (const cell of grid.cells) {
        if (cell.prompt !== prompt || cell.seed !== grid.seeds[seed]) continue;
        byPlace.set(cell.epoch === null ? "base" : `${cell.epoch} ${cell.weight}`, cell);
    }
    const weights = [null, ...grid.weights];
    return {
        rows: grid.epochs, columns: weights, prompt: grid.prompts[prompt] || "",
        at: (row, column) => byPlace.get(column ? `${grid.epochs[row]} ${weights[column]}` : "base"),
    };
}

/** The cell in words, as a caption and for whoever cannot see it. */
export function cellName(cell) {
    return cell.epoch === null ? say("results.no_lora") : say("results.cell", {epoch: cell.epoch, weight: cell.weight});
}

export function cellAlt(cell, prompt, mark) {
    const words = [cellName(cell), prompt && say("results.cell_prompt", {prompt}),
        typeof cell.score === "number" && say("results.cell_score", {score: scoreText(cell.score)}), mark && markWords(mark)];
    return words.filter(Boolean).join(say("results.comma"));
}

export const scoreText = (score) => String(Number(score.toPrecision(3)));

const markWords = (mark) => say(mark === "best" ? "results.suggested" : "results.runner_up");

/** Which mark a cell has by the choice: "best", "next" or "". */
export function markOf(cell, choice) {
    const is = (one) => one && cell.epoch === one.epoch && cell.weight === one.weight;
    return !choice || cell.epoch === null ? "" : is(choice) ? "best" : is(choice.runner_up) ? "next" : "";
}

/** {node, show(grid, prompt, seed), focusCell(row, column)}; `on` has enlarge, compare, use and select, each called with a place. */
export function resultsGrid(on) {
    const table = make("table", {class: "lt-cells", role: "grid", "aria-label": say("results.grid")});
    const node = make("div", {class: "lt-sideways lt-cells-room"}, table);
    const now = {model: null, row: 0, column: 1, held: null};

    table.addEventListener("keydown", (event) => onKey(event, now, table, on));
    table.addEventListener("focusin", (event) => {
        const place = placeOf(event.target, now);
        if (place) step(now, table, place, on);
    });
    table.addEventListener("click", (event) => {
        const place = placeOf(event.target, now);
        if (place && now.model.at(place.row, place.column)) on.enlarge(place);
    });

    return {node, table, show(grid, prompt, seed, choice) {
        now.model = gridModel(grid, prompt, seed);
        now.row = Math.min(now.row, now.model.rows.length - 1);
        now.column = Math.min(now.column, now.model.columns.length - 1);
        const focused = table.contains(document.activeElement);
        replace(table, head(now.model), body(now, choice));
        if (focused) cellAt(table, now.row, now.column)?.focus();
        mark(table, now);
        bringIn(node, table.querySelector(`.${MARKS.best.trim()}`));
        return now.model;
    }, go(row, column) {
        Object.assign(now, {row, column});
        mark(table, now);
    }, focus() {
        cellAt(table, now.row, now.column)?.focus({preventScroll: true});
    }, hold(place) {
        now.held = place;
        mark(table, now);
    }};
}

/** Where the columns do not fit, the suggested one is in sight all the same. */
function bringIn(room, best) {
    if (!best || room.scrollWidth <= room.clientWidth || room.dataset.brought) return;
    room.dataset.brought = "yes"; // once: then the user moves it
    const seen = room.getBoundingClientRect(), cell = best.getBoundingClientRect();
    room.scrollLeft += Math.max(0, cell.right - seen.right + 8);
}

const head = (model) => make("thead", {}, make("tr", {}, make("th", {scope: "col", class: "lt-corner"}, say("results.epoch_column")),
    ...model.columns.map((weight) => make("th", {scope: "col"}, weight === null ? say("results.no_lora") : say("results.weight_column", {weight})))));

function body(now, choice) {
    const {model} = now;
    return make("tbody", {}, ...model.rows.map((epoch, row) => make("tr", {}, make("th", {scope: "row"}, String(epoch)),
        ...model.columns.map((_, column) => column === 0 && row > 0 ? null : cellNode(model, row, column, choice)))));
}

function cellNode(model, row, column, choice) {
    const cell = model.at(row, column), place = {role: "gridcell", tabindex: -1, "data-row": row, "data-column": column};
    if (column === 0) place.rowspan = model.rows.length;
    if (!cell) return make("td", {...place, class: "lt-none", "aria-label": say("results.not_drawn")});
    const marked = markOf(cell, choice);
    return make("td", {...place, class: `lt-cell${MARKS[marked] || ""}${column ? "" : " lt-bare"}`},
        make("img", {src: picture(cell.url), alt: cellAlt(cell, model.prompt, marked), loading: "lazy", draggable: "false"}),
        marked ? make("span", {class: "lt-badge", "aria-hidden": "true"}, markWords(marked)) : null,
        make("span", {class: "lt-held", "aria-hidden": "true", hidden: true}, say("results.held")));
}

const cellAt = (table, row, column) => table.querySelector(`[data-row="${column ? row : 0}"][data-column="${column}"]`);

function placeOf(target, now) {
    const cell = target.closest("[data-column]");
    if (!cell) return null;
    const column = Number(cell.dataset.column);
    return {row: column ? Number(cell.dataset.row) : now.row, column};
}

/** One cell is in the tab order: the one that was visited last. */
function mark(table, now) {
    for (const cell of table.querySelectorAll("[data-column]")) cell.tabIndex = -1;
    const current = cellAt(table, now.row, now.column);
    if (current) current.tabIndex = 0;
    for (const held of table.querySelectorAll(".lt-held")) held.hidden = true;
    const held = now.held && cellAt(table, now.held.row, now.held.column);
    if (held) held.querySelector(".lt-held").hidden = false;
}

function step(now, table, place, on) {
    if (place.row === now.row && place.column === now.column && table.dataset.told) return;
    table.dataset.told = "yes";
    Object.assign(now, place);
    mark(table, now);
    on.select(place);
}

function onKey(event, now, table, on) {
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.closest("[data-column]")) return;
    const here = {row: now.row, column: now.column}, {rows, columns} = now.model;
    const acts = {Enter: on.enlarge, " ": on.enlarge, c: on.compare, u: on.use};
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const ends = {Home: [now.row, 0], End: [now.row, columns.length - 1], PageUp: [0, now.column], PageDown: [rows.length - 1, now.column]};
    let aim = ends[event.key];
    if (MOVES[event.key]) aim = [now.row + MOVES[event.key][0], now.column + MOVES[event.key][1]];
    if (event.key === "Escape" && now.held) on.compare(null);
    else if (act && now.model.at(here.row, here.column)) act(here);
    else if (!aim) return;
    event.preventDefault();
    event.stopPropagation();
    if (!aim) return;
    const row = Math.max(0, Math.min(rows.length - 1, aim[0])), column = Math.max(0, Math.min(columns.length - 1, aim[1]));
    step(now, table, {row, column}, on);
    cellAt(table, row, column)?.focus();
}

/* The step Results: pictures of every epoch and weight side by side, the recommendation beside them, and what to do with it. */

import {get} from "../api.mjs";
import {on} from "../bus.mjs";
import {make, replace, uid, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, obey, row} from "../parts/button.mjs";
import {fold} from "../parts/fold.mjs";
import {tellProblem} from "../parts/notice.mjs";
import {isGoing} from "../run_watch.mjs";
import {showStep, state} from "../state.mjs";
import {knows, say} from "../texts.mjs";
import {openCompare, openViewer} from "../viewer.mjs";
import {choiceCard} from "./results_choice.mjs";
import {draftsButton} from "./results_drafts.mjs";
import {documents, filesFold} from "./results_files.mjs";
import {cellAlt, cellName, gridModel, markOf, resultsGrid} from "./results_grid.mjs";
import {scoreTable} from "./results_scores.mjs";

const SIZE = "lora_trainer.cell", SMALLEST = 96, LARGEST = 480;

export default {
    key: "results",
    title: () => say("shell.step_results"),
    status: () => (state.run && state.run.chosen ? "done" : ""),
    summary: () => (state.run && state.run.chosen ? say("results.summary", state.run.chosen) : ""),
    mount,
};

function mount(node) {
    const p = {run: null, grid: null, prompt: 0, seed: 0, held: null, key: "", wanted: ""};
    p.card = choiceCard({compare: (left, right) => compare(p, left, right)});
    p.cells = resultsGrid({
        enlarge: (place) => enlarge(p, place), compare: (place) => hold(p, place), select: (place) => p.card.select(p.model.at(place.row, place.column)),
        use: (place) => useCell(p, p.model.at(place.row, place.column)),
    });
    p.files = filesFold(() => readAgain(p));
    p.empty = make("div", {class: "lt-empty"});
    p.runs = make("div", {class: "lt-row"});
    p.tabs = tabs(p);
    p.seeds = make("select", {class: "lt-select", "aria-label": say("results.seed"), onchange: () => {
        p.seed = p.seeds.selectedIndex;
        draw(p);
    }});
    p.scores = make("div", {});
    p.papers = make("div", {});
    p.part = make("p", {class: "lt-muted", hidden: true});
    p.told = make("p", {class: "lt-note", role: "status"});
    p.full = make("div", {class: "lt-results"}, p.tabs.node, make("div", {class: "lt-row lt-spread"}, make("p", {class: "lt-muted lt-keys"}, say("results.keys")),
        make("div", {class: "lt-row"}, p.seeds, sizeSlider(p))), p.part, p.told,
    make("div", {class: "lt-compared"}, p.cells.node, p.card.node));
    p.scoreFold = fold(say("results.scores"), () => [p.scores]);
    replace(node, make("h2", {class: "lt-away"}, say("shell.step_results")), p.runs, p.empty, p.full, p.scoreFold, p.files.node, p.papers);
    on("run", () => load(p));
    on("project", () => {
        p.wanted = "";
        load(p);
    });
    load(p);
}

// ------------------------------------------------------------------ what is shown

/** Fetch the grid of the run that is looked at, whenever there may be more of it. */
async function load(p, again = false) {
    const run = p.wanted && !(state.run && state.run.id === p.wanted) ? await get(`runs/${encodeURIComponent(p.wanted)}/status`, {since: -1}) : state.run;
    const key = run ? JSON.stringify([run.id, run.state, run.sheet, run.chosen, run.stage === "grid" && run.done, (run.files || []).length, (run.previews || []).length > 0]) : "none";
    if (key === p.key && !again) return;
    p.key = key;
    p.run = run;
    try {
        p.grid = run ? await get(`runs/${encodeURIComponent(run.id)}/grid`) : null;
    } catch (error) {
        if (error.status !== 404 && error.status !== 409 && error.status !== 422) throw error;
        p.grid = null;
    }
    showRuns(p).catch(() => null);
    draw(p);
}

/** Files that went or came back are no event of the run, so its status is asked for whole. */
async function readAgain(p) {
    p.run = await get(`runs/${encodeURIComponent(p.run.id)}/status`, {since: -1});
    if (state.run && state.run.id === p.run.id) state.run = p.run;
    await load(p, true);
}

function draw(p) {
    const {run} = p, grid = p.grid && p.grid.cells.length ? p.grid : null;
    p.full.hidden = p.scoreFold.hidden = !grid;
    p.files.node.hidden = !run || !(run.files || []).length || isGoing(run);
    showEmpty(p, grid);
    if (run) p.files.show(run, p.grid);
    replace(p.papers, run ? documents(run) : null);
    if (!grid) return;
    p.prompt = Math.min(p.prompt, grid.prompts.length - 1);
    p.seed = Math.min(p.seed, grid.seeds.length - 1);
    p.tabs.show(grid.prompts);
    p.seeds.hidden = grid.seeds.length < 2;
    replace(p.seeds, ...grid.seeds.map((seed, at) => make("option", {selected: at === p.seed}, say("results.seed_is", {seed}))));
    write(p.part, grid.total > grid.cells.length ? say("results.part", {drawn: grid.cells.length, total: grid.total}) : "");
    p.model = p.cells.show(grid, p.prompt, p.seed, grid.choice);
    startAtChoice(p, grid);
    p.card.show(run, grid, p.prompt);
    const table = scoreTable(grid, grid.choice);
    p.scoreFold.hidden = !table;
    replace(p.scores, table);
}

/** The keyboard enters the grid at the recommended cell. */
function startAtChoice(p, grid) {
    if (p.started === p.run.id || !grid.choice) return;
    p.started = p.run.id;
    const row = grid.epochs.indexOf(grid.choice.epoch), column = grid.weights.indexOf(grid.choice.weight) + 1;
    if (row >= 0 && column > 0) p.cells.go(row, column);
}

function showEmpty(p, grid) {
    const {run} = p, going = isGoing(run), key = grid ? "" : !run ? "empty" : going ? "empty_going" : (run.files || []).length ? "empty_no_grid" : "empty_no_files";
    if (p.empty.dataset.key === key) return;
    p.empty.dataset.key = key;
    p.empty.hidden = !key;
    if (key) replace(p.empty, make("p", {}, say(`results.${key}`)), row(button(say("results.to_train"), () => showStep("train"), {small: true}),
        key === "empty_no_grid" ? draftsButton(() => ({run: p.run, cell: {epoch: p.run.files.at(-1).epoch, weight: 1}, prompt: (p.run.previews || [{}])[0]?.prompt})) : null));
}

/** Which run is looked at, where the project has several. */
async function showRuns(p) {
    const ids = (state.project && state.project.runs) || [];
    p.runs.hidden = ids.length < 2;
    if (ids.length < 2) return;
    const known = (await get("runs")).filter((run) => ids.includes(run.id));
    const id = uid(), select = make("select", {id, class: "lt-select lt-verbatim", onchange: () => {
        p.wanted = select.value;
        obey(select, () => load(p));
    }}, ...known.map((run) => make("option", {value: run.id}, say("results.run_option", {name: run.name || run.id, state: knows(`train.summary_${run.state}`) ? say(`train.summary_${run.state}`) : "", started: started(run)}))));
    select.value = p.run ? p.run.id : "";
    replace(p.runs, make("label", {htmlFor: id, class: "lt-strong"}, say("results.run")), select);
}

function started(run) {
    const time = typeof run.started === "number" ? new Date(run.started * 1000) : new Date(run.started || NaN);
    return Number.isNaN(time.getTime()) ? "" : time.toLocaleString(document.getElementById("lora_trainer").lang || undefined, {dateStyle: "short", timeStyle: "short"});
}

/** A tab for every prompt; arrows move between them. */
function tabs(p) {
    const node = make("div", {class: "lt-tabs", role: "tablist", "aria-label": say("results.prompts")});
    node.addEventListener("keydown", (event) => {
        const to = {ArrowRight: p.prompt + 1, ArrowLeft: p.prompt - 1, Home: 0, End: node.children.length - 1}[event.key];
        if (to === undefined || !node.children[to]) return;
        event.preventDefault();
        take(to);
    });
    const take = (at) => {
        p.prompt = at;
        draw(p);
        node.children[at].focus({preventScroll: true});
    };
    return {node, show(prompts) {
        node.hidden = prompts.length < 2;
        replace(node, ...prompts.map((prompt, at) => make("button", {type: "button", role: "tab", class: "lt-tab lt-verbatim", "aria-selected": String(at === p.prompt), tabIndex: at === p.prompt ? 0 : -1,
            title: prompt, data: {focus: `tab ${at}`}, onclick: () => take(at)}, prompt)));
    }};
}

function sizeSlider(p) {
    const id = uid(), kept = Number(localStorage.getItem(SIZE)) || (window.innerWidth < 700 ? 112 : 160);
    const set = (size) => p.cells.node.style.setProperty("--lt-cell", `${size}px`);
    const slider = make("input", {type: "range", id, min: SMALLEST, max: LARGEST, step: 16, value: String(kept), oninput: () => {
        set(Number(slider.value));
        localStorage.setItem(SIZE, slider.value);
    }});
    set(kept);
    return make("span", {class: "lt-row"}, make("label", {htmlFor: id}, say("results.size")), slider);
}

// ------------------------------------------------------------------ what is done with a cell

const described = (p, cell) => ({url: cell.url, alt: cellAlt(cell, p.model.prompt, markOf(cell, p.grid.choice)), title: cellName(cell), text: p.model.prompt});

async function enlarge(p, place) {
    const cells = p.model.rows.map((_, row) => p.model.columns.map((__, column) => p.model.at(row, column)).map((cell) => cell && described(p, cell)));
    const use = async (here, close) => {
        close();
        await useCell(p, p.model.at(here.row, here.column));
    };
    const versus = (here, close) => {
        close();
        const cell = p.model.at(here.row, here.column), {choice} = p.grid, same = choice && markOf(cell, choice) === "best";
        compare(p, cell, same || !choice ? (choice && choice.runner_up) || null : choice);
    };
    const last = await openViewer(cells, {...place, name: say("results.grid"),
        names: {left: say("results.weight_before"), right: say("results.weight_after"), up: say("train.epoch_before"), down: say("train.epoch_after")},
        actions: (here, close) => [button(say("results.use"), () => use(here(), close), {kind: "primary"}), button(say("results.compare"), () => versus(here(), close))],
        keys: (event, here, close) => ({u: () => use(here, close), c: () => versus(here, close)}[event.key.toLowerCase()] || (() => null))()});
    p.cells.go(last.row, last.column);
    if (!document.querySelector("#lora_trainer dialog[open]")) p.cells.focus();
}

/** The first C holds a cell, the second compares with it; Esc lets it go. */
function hold(p, place) {
    const cell = place && p.model.at(place.row, place.column), held = p.held;
    p.held = cell && !held ? cell : null;
    p.cells.hold(p.held ? place : null);
    write(p.told, p.held ? say("results.held_how", {cell: cellName(cell)}) : "");
    if (held && cell && held !== cell) compare(p, held, cell);
}

function compare(p, left, right) {
    const {grid} = p, value = (cell) => (cell && cell.epoch ? `${cell.epoch} ${cell.weight}` : "base");
    const all = [...p.model.rows.flatMap((_, row) => p.model.columns.map((__, column) => p.model.at(row, column)))].filter(Boolean);
    const byValue = new Map(all.map((cell) => [value(cell), cell]));
    const mark = (cell) => ({best: say("results.suggested"), next: say("results.runner_up")}[markOf(cell, grid.choice)]);
    const choices = [...byValue].map(([key, cell]) => ({value: key, label: mark(cell) ? say("results.marked", {cell: cellName(cell), mark: mark(cell)}) : cellName(cell)}));
    return openCompare({choices, left: value(left), right: value(right), pick: (key) => byValue.has(key) && described(p, byValue.get(key)),
        actions: (sides, close) => sides.map((side, at) => button(say(at ? "results.use_right" : "results.use_left"), async () => {
            const cell = byValue.get(side.value());
            close();
            await useCell(p, cell);
        }))});
}

async function useCell(p, cell) {
    if (!cell || cell.epoch === null) {
        announce(say("results.use_none"));
        write(p.told, say("results.use_none"));
        return;
    }
    try {
        await p.card.use(cell);
    } catch (error) {
        tellProblem(p.told, error);
    }
}

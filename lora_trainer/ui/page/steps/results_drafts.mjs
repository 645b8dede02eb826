/* Pictures that a trained LoRA draws for the set: draw some, tick the good ones, add them. */

import {ApiError, get, picture} from "../api.mjs";
import {on} from "../bus.mjs";
import {make, replace, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {labelled, select} from "../parts/choices.mjs";
import {dialog} from "../parts/dialog.mjs";
import {pager} from "../parts/pager.mjs";
import {progress} from "../parts/progress.mjs";
import {state} from "../state.mjs";
import {cancel, follow, order} from "../tasks.mjs";
import {say} from "../texts.mjs";
import {openViewer} from "../viewer.mjs";

const PAGE = 48, USUAL = 8, MOST = 5000, SEEDS = 2 ** 31;
const SMALL = 320, LARGE = 1600;

/** The button that opens the dialog; `wanted()` gives {run, negative, cell, prompt}: whose LoRA draws, and what at first. */
export const draftsButton = (wanted, options = {}) => button(say("results.drafts"), () => { drawMore(wanted()); }, {small: true, ...options});

/** Open the dialog; what is being drawn goes on when it closes, and is there when it opens again. */
function drawMore({run, negative = "", cell, prompt = ""}) {
    const p = {run, negative, project: state.project.id, drafts: [], offset: 0, ticked: new Set(), added: new Set(), task: null, told: make("p", {class: "lt-muted", role: "status"})};
    p.ask = asked(p, cell, prompt);
    p.gallery = gallery(p);
    p.work = working(p);
    const deaf = on("task", (task) => p.work.show(task));
    const body = [make("p", {}, say("results.drafts_how")), p.ask.node, p.work.node, p.gallery.node, p.told];
    const open = dialog(say("results.drafts_title"), body, (close) => [p.gallery.add, button(say("common.close"), () => close())], {wide: true});
    const {task} = state.project;
    if (task && task.state === "running") follow(task.id).then(() => p.gallery.refresh()).catch(() => null);
    p.gallery.refresh().catch((error) => write(p.told, error.message));
    return open.finally(deaf);
}

// ------------------------------------------------------------------ what is drawn

function asked(p, cell, prompt) {
    const number = (value, low, high, step) => make("input", {type: "number", class: "lt-number", value, min: low, max: high, step});
    const prompts = make("textarea", {class: "lt-verbatim", rows: 3, spellcheck: "false", value: prompt});
    const epoch = select((p.run.files || []).map((file) => [String(file.epoch), say("results.epoch", file)]), {value: String(cell.epoch)});
    const weight = number(cell.weight, 0, 2, 0.05), count = number(USUAL, 1, MOST, 1);
    const words = labelled(say("results.drafts_prompts"), prompts);
    const draw = button(say("results.drafts_draw"), () => {
        const lines = prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
        words.error(lines.length ? "" : say("results.drafts_no_prompt"));
        if (!lines.length) return prompts.focus();
        return drawAll(p, lines, {run: p.run.id, epoch: Number(epoch.value), weight: Number(weight.value), count: Math.round(Number(count.value)), negative_prompt: p.negative});
    });
    return {draw, node: make("div", {class: "lt-stack lt-tight"}, words.node, make("div", {class: "lt-draft-row"}, labelled(say("results.score_epoch"), epoch).node,
        labelled(say("results.score_weight"), weight).node, labelled(say("results.drafts_count"), count).node, draw))};
}

/** One prompt after the other, with other seeds at every press; the pictures come into sight as each prompt is done. */
async function drawAll(p, prompts, wanted) {
    for (const prompt of prompts) {
        const seed = Math.floor(Math.random() * SEEDS);
        const task = await order(`projects/${p.project}/drafts`, {...wanted, prompt, seed});
        await p.gallery.refresh();
        write(p.told, task.message || "");
        if (task.state !== "done") return;
    }
    announce(p.told.textContent);
}

/** The task that goes on, with a button that ends it; what is drawn by then stays. */
function working(p) {
    const bar = progress(say("results.drafts_progress"));
    const node = make("div", {class: "lt-row lt-working", hidden: true}, bar.node, button(say("common.cancel"), () => cancel(p.task.id), {small: true}));
    return {node, show(task) {
        if (task.project && task.project !== p.project) return;
        p.task = task;
        node.hidden = task.state !== "running";
        p.ask.draw.disabled = !node.hidden;
        if (!node.hidden) bar.show(task);
    }};
}

// ------------------------------------------------------------------ what is chosen

function gallery(p) {
    const list = make("ul", {class: "lt-drafts", "aria-label": say("results.drafts_gallery")}), none = make("p", {class: "lt-muted"}, say("results.drafts_none"));
    const title = make("h4", {}, say("results.drafts_gallery")), count = make("p", {class: "lt-muted", role: "status"});
    const pages = pager(PAGE, (offset) => {
        p.offset = offset;
        draw();
    });
    const add = button(say("results.drafts_add"), () => adopt(p, draw), {kind: "primary"});

    function draw() {
        none.hidden = p.drafts.length > 0;
        title.hidden = list.hidden = !none.hidden;
        replace(list, ...p.drafts.slice(p.offset, p.offset + PAGE).map((draft, at) => tile(p, p.offset + at, draw)));
        pages.show(p.offset, p.drafts.length);
        write(count, p.ticked.size ? say("results.drafts_ticked", {count: p.ticked.size}) : "");
        add.disabled = !p.ticked.size;
    }

    draw();
    return {add, node: make("section", {class: "lt-stack lt-tight"}, title, none, list, pages.node, row(count)), async refresh() {
        p.drafts = await get(`projects/${p.project}/drafts`);
        draw();
    }};
}

const address = (p, draft, size) => `projects/${p.project}/drafts/${draft.id}?size=${size}`;

function tile(p, index, draw) {
    const draft = p.drafts[index], names = {number: index + 1}, added = p.added.has(draft.id);
    const box = make("input", {type: "checkbox", checked: added || p.ticked.has(draft.id), disabled: added, "aria-label": say("results.draft", names), data: {focus: `draft ${draft.id}`},
        onchange: () => tick(p, draft, draw)});
    return make("li", {class: "lt-draft"}, make("label", {}, make("img", {src: picture(address(p, draft, SMALL)), alt: "", loading: "lazy", decoding: "async", width: 160, height: 160}), box),
        make("span", {class: "lt-row"}, button(say("results.draft_large"), () => enlarge(p, index, draw), {small: true, kind: "quiet", "aria-label": say("results.draft_large_of", names)}),
            added ? make("span", {class: "lt-muted"}, say("results.draft_added")) : null));
}

function tick(p, draft, draw) {
    if (!p.ticked.delete(draft.id)) p.ticked.add(draft.id);
    draw();
}

function enlarge(p, index, draw) {
    const cells = [p.drafts.map((draft, at) => ({url: address(p, draft, LARGE), alt: say("results.draft", {number: at + 1}), title: say("results.draft", {number: at + 1})}))];
    const turn = (here) => {
        const draft = p.drafts[here().column];
        if (!p.added.has(draft.id)) tick(p, draft, draw);
        announce(say(p.ticked.has(draft.id) ? "results.draft_is_ticked" : "results.draft_is_not", {number: here().column + 1}));
    };
    return openViewer(cells, {row: 0, column: index, name: say("results.drafts_gallery"), names: {left: say("images.previous"), right: say("images.next")},
        actions: (here) => [button(say("results.draft_tick"), () => turn(here), {kind: "primary"})]});
}

/** The ticked pictures become images of the set, with their prompts as captions; undo takes them out again. */
async function adopt(p, draw) {
    const pictures = [...p.ticked];
    if (!pictures.length) throw new ApiError({key: "none", message: say("results.drafts_none_ticked")}, 422);
    const task = await order(`projects/${p.project}/adopt`, {pictures});
    write(p.told, task.message || "");
    if (task.state !== "done") return;
    for (const one of pictures) p.added.add(one);
    p.ticked.clear();
    draw();
}

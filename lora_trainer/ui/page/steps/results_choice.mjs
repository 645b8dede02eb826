/* The recommended cell with its reasons, the runner-up, and what can be done with a LoRA: use it, try it, compare it, train on. */

import {get, post} from "../api.mjs";
import {copyLine} from "../copying.mjs";
import {make, replace} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {notice} from "../parts/notice.mjs";
import {openProject} from "../state.mjs";
import {say} from "../texts.mjs";
import {canSend, inWebui, sendInfotext, tryPrompt, usePrompt} from "../webui.mjs";
import {draftsButton} from "./results_drafts.mjs";

const path = (run, what) => `runs/${encodeURIComponent(run.id)}/${what}`;

/** {node, show(run, grid, prompt), select(cell), use(cell)}; `on.compare(left, right)` and `on.enlarge(cell)` open the pictures. */
export function choiceCard(on) {
    const p = {run: null, grid: null, prompt: 0, selected: null, key: ""};
    p.card = make("section", {class: "lt-suggestion", "aria-label": say("results.suggestion")});
    p.own = make("section", {class: "lt-selected", hidden: true, "aria-label": say("results.selected")});
    p.told = make("div", {class: "lt-notices"});
    const node = make("aside", {class: "lt-aside"}, p.card, p.own, p.told);
    return {node, select: (cell) => select(p, cell, on), use: (cell) => use(p, cell), show(run, grid, prompt) {
        Object.assign(p, {run, grid, prompt});
        const key = JSON.stringify([run.id, run.state, grid.choice]);
        if (key === p.key) return;
        p.key = key;
        replace(p.told);
        suggestion(p, on);
        select(p, null, on);
    }};
}

function suggestion(p, on) {
    const {choice} = p.grid;
    if (!choice) {
        const last = (p.run.files || []).at(-1);
        replace(p.card, make("h3", {}, say("results.no_choice")), make("p", {class: "lt-muted"}, say("results.no_choice_how")), last ? uses(p, {epoch: last.epoch, weight: 1}, on) : null);
        return;
    }
    const second = choice.runner_up;
    replace(p.card, make("h3", {class: "lt-star"}, say("results.suggested_cell", choice)),
        make("ul", {class: "lt-why"}, ...(choice.reasons || []).map((reason) => make("li", {}, make("span", {}, reason)))),
        choice.sure === false ? notice("note", say("results.not_sure")) : null,
        uses(p, choice, on),
        second ? row(make("span", {}, say("results.runner_up_cell", second)), button(say("results.compare_both"), () => on.compare(choice, second), {small: true})) : null,
        choice.call ? make("div", {class: "lt-stack"}, make("span", {class: "lt-muted"}, say("results.prompt_line")), copyLine(say("results.prompt_line"), choice.call).node) : null);
}

/** The buttons of the card. Outside a WebUI only those are there that mean something. */
function uses(p, cell, on) {
    const first = button(say("results.use"), () => use(p, cell), {kind: "primary", id: "lora_trainer_use"});
    const others = [inWebui() && button(say("results.try"), () => tryIt(p, cell)), canSend() && button(say("results.send_xyz"), () => send(p), {id: "lora_trainer_to_xyz"}),
        button(say("results.further"), () => further(p, cell)),
        draftsButton(() => ({run: p.run, negative: p.grid.negative, cell, prompt: p.grid.prompts[p.prompt]}), {small: false})];
    return row(first, ...others.filter(Boolean));
}

/** The cell that the user looks at, where it is not the recommended one: one press takes it instead. */
function select(p, cell, on) {
    const choice = p.grid && p.grid.choice;
    const own = cell && cell.epoch !== null && !(choice && cell.epoch === choice.epoch && cell.weight === choice.weight);
    p.selected = own ? cell : null;
    p.own.hidden = !own;
    if (!own) return;
    replace(p.own, make("h4", {}, say("results.selected_cell", cell)), row(
        button(say("results.use_instead"), () => use(p, cell), {small: true, data: {focus: "use"}}),
        choice ? button(say("results.compare_suggested"), () => on.compare(cell, choice), {small: true, data: {focus: "compare"}}) : null,
        button(say("results.further"), () => further(p, cell), {small: true, data: {focus: "further"}})));
}

async function ordered(p, cell) {
    const {call} = await post(path(p.run, "use"), {epoch: cell.epoch, weight: cell.weight});
    return call;
}

/** Publish the LoRA with card and preview, and put it into the prompt that is there. */
async function use(p, cell) {
    const call = await ordered(p, cell);
    if (inWebui()) usePrompt(call);
    const text = say(inWebui() ? "results.used" : "results.used_outside", cell);
    replace(p.told, notice("done", make("div", {class: "lt-stack"}, make("p", {}, text), copyLine(say("results.prompt_line"), call).node)));
    announce(text);
}

async function tryIt(p, cell) {
    const call = await ordered(p, cell);
    tryPrompt(p.grid.prompts[p.prompt] || "", p.grid.negative || "", call);
    announce(say("results.tried"));
}

async function send(p) {
    const {infotext, problem} = await get(path(p.run, "infotext"));
    if (problem || !infotext) {
        replace(p.told, notice("problem", problem || say("results.no_infotext")));
        return;
    }
    sendInfotext(infotext);
    announce(say("results.sent"));
}

async function further(p, cell) {
    const made = await post(path(p.run, "further"), {epoch: cell.epoch});
    announce(say("results.further_done", cell));
    await openProject(made.id || made.project, "train");
}


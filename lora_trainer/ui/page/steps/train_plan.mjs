/* Before a run: preset, settings, and what they mean in steps, time, memory and disk, with the one big button. */

import {ApiError, get, post} from "../api.mjs";
import {on} from "../bus.mjs";
import {later, make, replace, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button} from "../parts/button.mjs";
import {notice, tellProblem} from "../parts/notice.mjs";
import {presetBox} from "../presets.mjs";
import {sweepDialog} from "../queue.mjs";
import {lookNow} from "../run_watch.mjs";
import {settingsForm} from "../settings_form.mjs";
import {change, reload, showStep, state} from "../state.mjs";
import {say} from "../texts.mjs";

const STEP_OF = {images: "images", folder: "images", trigger: "images", captions: "tags"};
const WAIT_MS = 150;

/** {node, refresh(), lock(bool)}; `started()` hears that a run was started or queued, `waiting()` tells how many wait. */
export async function planView(started, waiting) {
    const schema = await get("schema"), p = {plan: null, locked: false, waiting};
    p.form = settingsForm(schema, {change: (values) => change({settings: values})});
    p.preset = presetBox(p.form);
    p.sentence = make("p", {class: "lt-plan-sentence"});
    p.facts = make("dl", {class: "lt-plan-facts"});
    p.notes = make("div", {class: "lt-notices"});
    p.start = button(say("train.start"), () => start(p, started), {kind: "primary", class: "lt-btn-big", id: "lora_trainer_start"});
    p.sweep = button(say("queue.sweep"), async () => { if (await sweepDialog(p.form)) await started(); }, {kind: "quiet"});
    p.wait = make("p", {class: "lt-muted"});
    p.lockNote = make("div", {hidden: true});
    const commit = make("aside", {class: "lt-commit", "aria-label": say("train.plan")}, make("h3", {}, say("train.plan")), p.sentence, p.facts, p.notes,
        make("div", {class: "lt-start-row", "data-problems": ""}, p.start, p.wait, p.sweep));
    const node = make("div", {class: "lt-stack"}, p.lockNote, make("div", {class: "lt-planning"}, make("div", {class: "lt-setup"}, p.preset.node, p.form.basics), commit, p.form.rest));
    const ask = later(() => refresh(p).catch((error) => tellProblem(p.start, error)), WAIT_MS);
    for (const name of ["project", "images", "captions"]) on(name, ask);
    on("run", () => show(p));
    return {node, refresh: () => refresh(p), lock: (locked, unlock) => lock(p, locked, unlock), focus: () => p.start.focus()};
}

async function refresh(p) {
    const {project} = state;
    if (!project) return;
    const changes = p.form.changes(), plan = await get(`projects/${project.id}/plan`);
    if (changes === p.form.changes() && state.project && state.project.id === project.id) {
        p.plan = {reasons: {}, changed: [], unusual: [], problems: [], texts: {}, ...plan};
        p.form.show(p.plan);
        p.preset.show(p.plan);
        show(p);
    }
}

function show(p) {
    const {plan} = p;
    if (!plan) return;
    write(p.sentence, plan.sentence || "");
    const facts = ["time", "memory", "disk"].filter((key) => plan.texts[key]);
    replace(p.facts, ...facts.map((key) => make("div", {class: tight(plan, key) ? "lt-short" : ""}, make("dt", {}, say(`train.fact_${key}`)), make("dd", {}, plan.texts[key]))));
    const notes = JSON.stringify([plan.problems, plan.unusual]);
    if (p.notes.dataset.shown !== notes) {
        p.notes.dataset.shown = notes;
        replace(p.notes, ...plan.problems.map((one) => problemNote(p, one)), unusualNote(p, plan.unusual));
    }
    const waits = Boolean(state.busy || state.other || (state.run && state.run.state === "running") || p.waiting());
    p.queued = waits;
    write(p.start, say(waits ? "train.add_to_queue" : "train.start"));
    write(p.wait, p.locked || plan.problems.length ? "" : waits ? say("train.add_how") : "");
    p.start.disabled = p.locked || plan.problems.length > 0;
    p.sweep.hidden = p.locked || plan.problems.length > 0;
}

/** Whether a plan needs more than there is. */
const tight = (plan, key) => Boolean(plan[key] && plan[key].need > plan[key].free);

/** A problem with a button that leads to where it is mended. */
function problemNote(p, {field, message}) {
    const step = STEP_OF[field];
    const known = p.form.specs.has(field);
    const actions = step ? [button(say(`train.go_${step}`), () => showStep(step), {small: true})]
        : known ? [button(say("train.show_setting"), () => p.form.point(field, message), {small: true})] : [];
    return notice("problem", message, {actions});
}

function unusualNote(p, unusual) {
    if (!unusual.length) return null;
    const line = ({field, text}) => make("li", {}, make("span", {}, text), " ", p.form.specs.has(field)
        ? make("button", {type: "button", class: "lt-link", "aria-label": say("train.show_setting_of", {label: p.form.label(field)}), onclick: () => p.form.point(field)}, say("train.show_setting")) : null);
    return notice("warning", make("div", {}, make("p", {class: "lt-strong"}, say("train.unusual")), make("ul", {class: "lt-plain-list"}, ...unusual.map(line))));
}

async function start(p, started) {
    const refused = p.form.refused();
    if (refused) {
        p.form.point(refused);
        throw new ApiError({key: "refused", message: say("train.refused", {label: p.form.label(refused)})}, 422);
    }
    try {
        const answer = await post(`projects/${state.project.id}/start`, {queue: p.queued});
        announce(say(answer.queued ? "queue.added" : "train.started"));
        await reload();
        await started(answer);
        await lookNow();
    } catch (error) {
        if (error.field && p.form.specs.has(error.field)) p.form.point(error.field, error.message);
        throw error;
    }
}

/** While the project's own run goes on, its settings can be read only; `unlock` lets the next run be prepared. */
function lock(p, locked, unlock) {
    p.locked = locked;
    p.form.lock(locked);
    p.preset.lock(locked);
    p.lockNote.hidden = !locked;
    if (locked && !p.lockNote.firstChild) p.lockNote.append(notice("note", say("train.locked"), {actions: [button(say("train.unlock"), unlock, {small: true})]}));
    show(p);
}

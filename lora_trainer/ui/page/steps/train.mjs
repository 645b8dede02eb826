/* The step Train: the plan before a run, the run while it goes on, its end, and the queue. */

import {on} from "../bus.mjs";
import {make, replace, write} from "../dom.mjs";
import {fold} from "../parts/fold.mjs";
import {notice, tellProblem} from "../parts/notice.mjs";
import {queueBox} from "../queue.mjs";
import {isGoing, lookNow} from "../run_watch.mjs";
import {showStep, state} from "../state.mjs";
import {say} from "../texts.mjs";
import {planView} from "./train_plan.mjs";
import {runView} from "./train_run.mjs";

const STATUS = {running: "working", paused: "attention", waiting: "working", queued: "working", finished: "done", stopped: "done", failed: "attention", interrupted: "attention"};

export default {
    key: "train",
    title: () => say("shell.step_train"),
    status: () => (state.run ? STATUS[state.run.state] || "" : ""),
    summary: () => summary(state.run),
    mount,
};

function summary(run) {
    if (!run) return "";
    if (run.state === "running" && run.stage === "training") return say("train.summary_percent", {percent: Math.floor((run.fraction || 0) * 100)});
    return say(`train.summary_${run.state}`);
}

function mount(node) {
    const p = {node, wanted: "", plan: null, isLocked: false};
    p.run = runView({results: () => showStep("results"), again: () => prepare(p), ordered: lookNow});
    p.queue = queueBox();
    p.lost = make("p", {class: "lt-note", hidden: true});
    p.other = make("div", {class: "lt-notices"});
    p.planPlace = make("div", {});
    p.lockedPlace = make("div", {});
    p.locked = fold(say("train.settings"), () => [p.lockedPlace]);
    p.empty = make("p", {class: "lt-muted"}, say("train.no_project"));
    replace(node, make("h2", {class: "lt-away"}, say("shell.step_train")), p.empty, p.lost, p.other, p.planPlace, p.run.node, p.queue.node, p.locked);
    on("run", () => show(p));
    on("project", () => {
        if (p.project !== (state.project && state.project.id)) p.wanted = "";
        p.project = state.project && state.project.id;
        show(p);
    });
    p.project = state.project && state.project.id;
    show(p);
    p.queue.refresh().catch(() => null);
}

/** The settings for another run; the last run stays below. */
function prepare(p) {
    p.wanted = `plan ${state.run ? state.run.id : ""}`;
    show(p);
    p.planPlace.querySelector("select, input")?.focus();
}

function show(p) {
    const {node} = p, {run, project} = state, going = isGoing(run), asked = p.wanted === `plan ${run ? run.id : ""}`;
    p.empty.hidden = Boolean(project);
    p.run.node.hidden = !run;
    write(p.lost, state.lost ? say("train.lost") : "");
    if (run) p.run.show(run);
    showOther(p);
    const planned = Boolean(project) && (!run || asked || going);
    p.planPlace.hidden = !planned || (going && !asked);
    p.locked.hidden = !going || asked;
    node.classList.toggle("lt-once-more", !p.planPlace.hidden && Boolean(run));
    if (planned) showPlan(p, going && !asked);
}

/** The plan is made when it is first wanted, and asked for anew whenever the project or its images change. */
function showPlan(p, locked) {
    p.making = p.making || planView(() => {
        p.wanted = "";
        return p.queue.refresh();
    }, p.queue.length).then((plan) => {
        p.plan = plan;
        showPlan(p, p.isLocked);
        return plan.refresh();
    }).catch((error) => {
        p.making = null;
        tellProblem(p.planPlace, error);
    });
    p.isLocked = locked;
    if (!p.plan) return;
    const place = locked ? p.lockedPlace : p.planPlace;
    if (p.plan.node.parentNode !== place) replace(place, p.plan.node);
    p.plan.lock(locked, () => prepare(p));
}

function showOther(p) {
    const {other} = state, text = other ? say("train.other", {name: other.name || other.id}) : "";
    if (p.other.dataset.shown === text) return;
    p.other.dataset.shown = text;
    replace(p.other, text ? notice("note", text) : null);
}

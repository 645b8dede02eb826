/* Follows the project's run, the one that goes on or the last, and tells it: "run" on the bus, and aloud at most once a minute. */

import {get} from "./api.mjs";
import {emit, on} from "./bus.mjs";
import {alertUser, announce} from "./live.mjs";
import {poll} from "./poll.mjs";
import {reload, state} from "./state.mjs";

const SAY_AGAIN_MS = 60000, RUNNING_MS = 1000, IDLE_MS = 5000;
const GOING = new Set(["running", "paused", "waiting", "queued"]);
const told = {news: null, at: 0};
let watch = null;

/** Whether a run is under way, so that it can be stopped or gone on with. */
export const isGoing = (run) => Boolean(run && GOING.has(run.state));

/** Begin to follow; `root` is the page. `state.run` is the project's run, `state.other` another project's that goes on. */
export function followRuns(root) {
    watch = poll(look, {every: RUNNING_MS, idle: IDLE_MS, node: root});
    let before = null;
    on("project", (project) => {
        const now = project && `${project.id} ${(project.runs || []).length}`;
        if (now === before) return;
        before = now;
        told.news = null;
        watch.now();
    });
}

/** Look at once, after an order. */
export const lookNow = () => watch && watch.now();

/** A run's status, asked for anew only where something happened since `known`. */
async function statusOf(id, known) {
    const run = await get(`runs/${encodeURIComponent(id)}/status`, {since: known ? known.lines : -1});
    if (run.id === null || run.texts) return run;
    if (known && run.id === known.id && run.state === known.state) {
        const same = Object.entries(run).every(([key, value]) => JSON.stringify(value) === JSON.stringify(known[key]));
        return same ? known : {...known, ...run};
    }
    return get(`runs/${encodeURIComponent(run.id)}/status`, {since: -1});
}

async function look() {
    const {project} = state, known = state.run;
    try {
        const current = await statusOf("current", known);
        const own = current.id !== null && belongs(current, project) ? current : await lastOf(project, known);
        if (state.project !== project) return true;
        const other = current !== own && isGoing(current) ? current : null, busy = Boolean(current.busy);
        const around = busy !== Boolean(state.busy) || (other && other.id) !== (state.other && state.other.id);
        Object.assign(state, {other, busy});
        take(own, known, around);
    } catch (error) {
        if (!state.lost) {
            state.lost = true;
            emit("run", state.run);
        }
        throw error;
    }
    return isGoing(state.run) || Boolean(state.other) || state.busy;
}

const belongs = (run, project) => Boolean(project) && (run.project === project.id || (project.runs || []).includes(run.id));

/** The project's last run; one that has ended is asked for once. */
async function lastOf(project, known) {
    const id = project && (project.runs || []).at(-1);
    if (!id) return null;
    return known && known.id === id && !isGoing(known) ? known : statusOf(id, known && known.id === id ? known : null);
}

/** Keep the project's run and tell it, where it has changed or `around` it something has: what else trains. */
function take(run, known, around) {
    const changed = state.lost || around || run !== known;
    state.lost = false;
    state.run = run;
    if (!changed) return;
    emit("run", run);
    if (run) tell(run);
    if (known && run && known.id === run.id && isGoing(known) !== isGoing(run)) reload().catch(() => null);
}

/** Speak when the stage, the epoch or the outcome is new, otherwise at most once a minute; an old run's end is no news. */
function tell(run) {
    const now = Date.now(), news = [run.id, run.state, run.stage, run.epoch, run.stopping].join(), first = told.news === null;
    if (news === told.news && (run.state !== "running" || now - told.at < SAY_AGAIN_MS)) return;
    Object.assign(told, {news, at: now});
    if (first && !isGoing(run)) return;
    if (run.state === "failed") alertUser(run.message);
    else announce((run.texts || {}).announcement || "");
}

/* What the page looks at: one project, one step. Remembered in the address and in the browser, so a reload comes back to it. */

import {get, patch, post} from "./api.mjs";
import {emit} from "./bus.mjs";

const PROJECT = "lora_trainer.project";
const STEPS = ["images", "tags", "train", "results"];

/** `project` as `GET projects/{id}` tells it (null without one), `projects` the list, `about` the host, `run` its status. */
export const state = {project: null, projects: [], about: {}, run: null, step: "images"};

const order = {asked: 0, changes: Promise.resolve()};

/** Look at another project (null: none, the empty page). */
export async function openProject(id, step = state.step) {
    state.project = id ? await get(`projects/${id}`) : null;
    state.step = id ? step : "images";
    remember();
    emit("project", state.project);
    emit("step", state.step);
    return state.project;
}

/** Read the project again; whatever shows it hears "project". An answer that a newer question has overtaken is dropped. */
export async function reload() {
    const asked = state.project, turn = ++order.asked;
    if (!asked) return null;
    const fresh = await get(`projects/${asked.id}`);
    if (turn !== order.asked || !state.project || state.project.id !== asked.id) return state.project;
    state.project = fresh;
    emit("project", fresh);
    return fresh;
}

/** The list of projects, newest use first. */
export async function listProjects() {
    state.projects = await get("projects");
    return state.projects;
}

/** The project in hand, or a new one made for what the user is doing. */
export async function needProject(values = {}) {
    if (state.project) return state.project;
    const made = await post("projects", values);
    return openProject(made.id);
}

/** Change the project's name, goal, preset or settings (null takes a setting back), one after the other. Raises ApiError
    with the field. */
export function change(values) {
    const {id} = state.project;
    const mine = order.changes.then(() => patch(`projects/${id}`, values)).then(reload);
    order.changes = mine.catch(() => null);
    return mine;
}

/** Show a step: "images", "tags", "train" or "results". */
export function showStep(step) {
    if (!STEPS.includes(step)) return;
    state.step = step;
    remember();
    emit("step", step);
}

/** What the address or the browser remembers: {id, step}. */
export function remembered() {
    const [, id, step] = location.hash.match(/^#lt\/([^/]*)\/?(\w*)$/) || [];
    return {id: id || localStorage.getItem(PROJECT) || "", step: STEPS.includes(step) ? step : "images"};
}

function remember() {
    const id = state.project ? state.project.id : "";
    localStorage.setItem(PROJECT, id);
    history.replaceState(history.state, "", id ? `#lt/${id}/${state.step}` : location.pathname + location.search);
}

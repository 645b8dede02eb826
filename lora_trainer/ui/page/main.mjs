/* The page: a head, four steps, and the bar at the foot. The loader imports this; nothing here knows gradio. */

import {get, remove} from "./api.mjs";
import {emit, on} from "./bus.mjs";
import {make, write} from "./dom.mjs";
import {announce, placeRegions} from "./live.mjs";
import {button} from "./parts/button.mjs";
import {confirm} from "./parts/dialog.mjs";
import {menu} from "./parts/menu.mjs";
import {notice} from "./parts/notice.mjs";
import {followRuns, isGoing} from "./run_watch.mjs";
import {listProjects, openProject, remembered, showStep, state} from "./state.mjs";
import {chooseLanguage, chosenLanguage, language, load, say} from "./texts.mjs";
import {workbar} from "./workbar.mjs";

const STYLES = ["shell.css", "bench.css", "run.css"];
const STEPS = ["images", "tags", "train", "results"];
const UNREACHED = "LoRA Trainer: the server does not answer. Reload the page. / 服务器没有响应，请刷新页面。";

/** Fill `root` with the page, once. */
export async function start(root) {
    if (!root || root.dataset.started) return;
    root.dataset.started = "true";
    addStyles();
    keepFromTranslation();
    try {
        state.about = await get("about");
        await load(chosenLanguage(), state.about.language);
    } catch (error) {
        delete root.dataset.started;
        root.replaceChildren(make("p", {role: "alert"}, UNREACHED));
        return;
    }
    const steps = await Promise.all(STEPS.map(imported));
    root.lang = language() === "zh" ? "zh-Hans" : "en";
    const stepper = steps.map(stepButton), panels = new Map(steps.map((step) => [step.key, make("section", {class: "lt-step", hidden: true, "aria-label": step.title()})]));
    const nav = make("nav", {"aria-label": say("shell.steps")}, make("ol", {class: "lt-stepper"}, ...stepper.map((one) => one.node)));
    root.replaceChildren(...[head(), warning(), nav, make("div", {class: "lt-news"}), ...panels.values(), workbar()].filter(Boolean));
    placeRegions(root);
    const mounted = new Map();

    function show(key) {
        for (const step of steps) {
            const panel = panels.get(step.key), shown = step.key === key;
            if (shown && !mounted.has(step.key)) mounted.set(step.key, step.mount(panel) || true);
            if (!shown && !panel.hidden && step.hidden) step.hidden();
            panel.hidden = !shown;
            if (shown && step.shown) step.shown();
        }
        refresh();
    }

    const refresh = () => {
        nav.hidden = state.project === null && state.run === null;
        stepper.forEach((one) => one.refresh());
    };
    on("step", show);
    for (const name of ["project", "images", "captions", "task", "run"]) on(name, refresh);
    await attach();
    followRuns(root);
}

/** Open what the address or the browser remembers; a project that is gone leads to the empty page, and one that
    remembers nothing to the run that goes on. */
async function attach() {
    const {id, step} = remembered();
    const known = await listProjects().catch(() => []);
    const run = id ? null : await get("runs/current/status").catch(() => null);
    const wanted = isGoing(run) ? {id: run.project, step: "train"} : {id, step};
    await openProject(known.some((project) => project.id === wanted.id) ? wanted.id : null, wanted.step).catch(() => openProject(null, "images"));
    emit("language");
}

async function imported(key) {
    try {
        return (await import(`./steps/${key}.mjs`)).default;
    } catch (error) {
        console.error(error);
        const text = say("common.page_failed", {reason: String(error.message || error)});
        return {key, title: () => say(`shell.step_${key}`), summary: () => "", mount: (node) => { node.append(notice("problem", text)); }};
    }
}

function stepButton(step, index) {
    const mark = make("span", {class: "lt-step-mark", "aria-hidden": "true"}, String(index + 1));
    const summary = make("span", {class: "lt-step-summary"});
    const node = make("button", {type: "button", class: "lt-step-button", data: {step: step.key}, onclick: () => showStep(step.key)},
        mark, make("span", {class: "lt-step-words"}, make("span", {class: "lt-step-title"}, step.title()), summary));
    const refresh = () => {
        const status = step.status ? step.status() : "";
        write(summary, step.summary() || say("shell.nothing_yet"));
        node.dataset.status = status;
        if (state.step === step.key) node.setAttribute("aria-current", "step");
        else node.removeAttribute("aria-current");
    };
    return {node: make("li", {}, node), refresh};
}

// ------------------------------------------------------------------ the head

function head() {
    const projects = menu(say("shell.no_project"), projectItems, {title: say("shell.project")});
    const word = make("span", {class: "lt-muted lt-head-label", "aria-hidden": "true"}, say("shell.project"));
    const label = () => projects.label(state.project ? make("span", {class: "lt-verbatim lt-ellipsis"}, state.project.name) : say("shell.no_project"));
    projects.opener.setAttribute("aria-label", say("shell.project"));
    projects.opener.classList.add("lt-project");
    const fresh = button(say("shell.new"), () => openProject(null, "images"), {title: say("shell.new_help")});
    const show = () => {
        label();
        projects.opener.setAttribute("aria-label", say("shell.project_named", {name: state.project ? state.project.name : say("shell.no_project")}));
        fresh.hidden = state.project === null;
        projects.node.hidden = word.hidden = state.project === null && !state.projects.length;
    };
    on("project", () => listProjects().then(show, show));
    show();
    return make("header", {class: "lt-head"}, make("h1", {}, say("shell.title")),
        make("div", {class: "lt-row"}, word, projects.node, fresh, languages()));
}

async function projectItems() {
    const found = await listProjects();
    const own = state.project;
    const items = found.map((project) => ({label: project.name, hint: say("shell.project_images", {images: project.images}), verbatim: true,
        checked: Boolean(own && project.id === own.id), onclick: () => openProject(project.id, "images")}));
    return own ? [...items, null, {label: say("shell.delete"), danger: true, onclick: () => discard(own)}] : items;
}

async function discard(project) {
    const sure = await confirm(say("shell.delete_title", {name: project.name}), say("shell.delete_text"), {yes: say("shell.delete_yes"), danger: true});
    if (!sure) return;
    await remove(`projects/${project.id}`);
    announce(say("shell.deleted", {name: project.name}));
    const rest = await listProjects();
    await openProject(rest.length ? rest[0].id : null, "images");
}

function languages() {
    const names = {"": say("shell.language_auto"), en: "English", zh: "中文"};
    const options = Object.entries(names).map(([value, name]) => make("option", {value}, name));
    const select = make("select", {"aria-label": say("shell.language"), class: "lt-language", value: chosenLanguage(), onchange: () => {
        chooseLanguage(select.value);
        location.reload();
    }}, ...options);
    return select;
}

function warning() {
    const told = [state.about.problem && notice("problem", state.about.problem), state.about.listening_without_password && notice("warning", say("shell.unprotected"))];
    return told.some(Boolean) ? make("div", {}, ...told.filter(Boolean)) : null;
}

// ------------------------------------------------------------------ the host

function addStyles() {
    for (const name of STYLES) {
        const href = new URL(`./${name}`, import.meta.url).href;
        if (![...document.querySelectorAll("link[rel=stylesheet]")].some((link) => link.href === href)) document.head.append(make("link", {rel: "stylesheet", href}));
    }
}

/** The WebUI translates any text that equals one of its keys; tags and names of ours are passed over by these ids. */
function keepFromTranslation() {
    const ignored = window.ignore_ids_for_localization;
    if (!ignored || typeof ignored !== "object") return;
    Object.setPrototypeOf(ignored, new Proxy({}, {get: (_, id) => (typeof id === "string" && id.startsWith("lt_") ? "SPAN" : undefined)}));
}

start(document.getElementById("lora_trainer"));

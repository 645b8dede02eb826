/* The bar at the foot of the page: undo and redo, and the long work that goes on, whichever step is shown. */

import {post} from "./api.mjs";
import {emit, on} from "./bus.mjs";
import {make, write} from "./dom.mjs";
import {alertUser, announce} from "./live.mjs";
import {button, obey} from "./parts/button.mjs";
import {news} from "./parts/notice.mjs";
import {progress} from "./parts/progress.mjs";
import {reload, state} from "./state.mjs";
import {cancel, follow} from "./tasks.mjs";
import {say} from "./texts.mjs";

const SAY_AGAIN_MS = 20000;

/** Build the bar and let it listen. */
export function workbar() {
    const history = undoing(), work = working();
    const node = make("div", {class: "lt-workbar", role: "region", "aria-label": say("shell.workbar"), hidden: true},
        make("div", {class: "lt-row"}, history.node, history.told), work.node);
    const show = () => {
        const edits = state.step === "images" || state.step === "tags";
        history.show(edits);
        node.hidden = !state.project || (!edits && work.node.hidden) || (!state.project.count && work.node.hidden && !state.project.can_undo);
    };
    for (const name of ["project", "step"]) on(name, show);
    on("task", (task) => {
        work.show(task);
        show();
    });
    on("project", () => attach(state.project));
    keepInSight(node);
    return node;
}

/** The bar sticks to the window's foot. Where a box of the host's cuts off what overflows, that does not work, and it is
    pinned there instead, as wide as the page. */
function keepInSight(node) {
    const root = document.getElementById("lora_trainer");
    const cut = (one) => one && one !== document.body && one !== document.documentElement && (!["visible", "clip"].includes(getComputedStyle(one).overflowY) || cut(one.parentElement));
    new ResizeObserver(() => {
        const box = root.getBoundingClientRect(), pinned = Boolean(cut(root.parentElement));
        root.classList.toggle("lt-pinned", pinned);
        node.style.left = pinned ? `${box.left}px` : "";
        node.style.width = pinned ? `${box.width}px` : "";
    }).observe(root);
}

/** A task that went on before the page was opened is followed too. */
function attach(project) {
    const task = project && project.task;
    if (task && task.state === "running") follow(task.id).catch(() => null);
}

function undoing() {
    const told = make("span", {class: "lt-muted lt-saved lt-verbatim"});
    const both = ["undo", "redo"].map((way) => {
        const node = button(say(`shell.${way}`), () => turn(way, told), {small: true, class: `lt-${way}`});
        return {node, way};
    });
    document.getElementById("lora_trainer").addEventListener("keydown", (event) => shortcut(event, both));
    on("saved", (text) => write(told, text));
    return {
        told, node: make("div", {class: "lt-row lt-history"}, ...both.map((one) => one.node)),
        show(edits) {
            for (const {node, way} of both) {
                const what = state.project ? state.project[`${way}_text`] : "";
                node.hidden = !edits;
                setOff(node, !state.project || !state.project[`can_${way}`]);
                node.title = what || "";
                node.setAttribute("aria-label", what ? say(`shell.${way}_what`, {what}) : say(`shell.${way}`));
            }
            told.hidden = !edits || !told.textContent;
        },
    };
}

/** A button that does nothing now keeps the focus, so that a keyboard user is not thrown back to the top. */
function setOff(node, off) {
    node.setAttribute("aria-disabled", String(off));
}

async function turn(way, told) {
    if (!state.project || !state.project[`can_${way}`]) return;
    const {text} = await post(`projects/${state.project.id}/${way}`);
    write(told, text);
    announce(text);
    emit("images");
    emit("captions");
    await reload();
}

function shortcut(event, both) {
    const letter = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    const way = letter === "y" || (letter === "z" && event.shiftKey) ? "redo" : letter === "z" ? "undo" : "";
    const found = both.find((one) => one.way === way && !one.node.hidden);
    if (!found) return;
    event.preventDefault();
    obey(found.node, () => found.node.click());
}

function working() {
    const bar = progress(say("shell.work")), said = {at: 0, text: ""};
    let shown = null;
    const stop = button(say("common.cancel"), () => cancel(shown.id), {small: true});
    const node = make("div", {class: "lt-row lt-working", hidden: true}, bar.node, stop);

    function show(task) {
        if (!state.project || (task.project && task.project !== state.project.id)) return;
        const running = task.state === "running";
        shown = task;
        node.hidden = !running;
        if (!running) {
            finished(task);
            return;
        }
        bar.show(task);
        const now = Date.now();
        if (task.text && now - said.at > SAY_AGAIN_MS) {
            said.at = now;
            announce(task.text);
        }
    }

    return {node, show};
}

async function finished(task) {
    const bad = task.state === "failed", notes = task.notes || [];
    if (bad) alertUser(task.message);
    else announce(task.message);
    if (bad || notes.length) {
        const lines = [make("p", {}, task.message || ""), notes.length ? make("ul", {class: "lt-notes"}, ...notes.map((note) => make("li", {}, make("span", {}, note)))) : null];
        news(bad ? "problem" : "note", make("div", {}, ...lines));
    } else emit("saved", task.message || "");
    await reload();
    emit("images");
    emit("captions");
}

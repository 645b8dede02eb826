/* The queue: what trains next, in which order, and the dialog that lines up one run for each of several values. */

import {get, post, remove} from "./api.mjs";
import {on} from "./bus.mjs";
import {make, replace, uid, write} from "./dom.mjs";
import {announce} from "./live.mjs";
import {button} from "./parts/button.mjs";
import {dialog} from "./parts/dialog.mjs";
import {notice} from "./parts/notice.mjs";
import {poll} from "./poll.mjs";
import {openProject, state} from "./state.mjs";
import {knows, say} from "./texts.mjs";

const LOOK_MS = 4000, IDLE_MS = 15000;
const FIXED = new Set(["name", "images", "out", "trigger"]); // one project's own, or what keeps runs from overwriting each other

/** {node, refresh(), length()}: the list, hidden while it is empty. It looks again whenever another run begins or ends, and
    now and then, for a run may fail to begin, and another window may line one up. */
export function queueBox() {
    const list = make("ol", {class: "lt-queue"}), held = make("div", {class: "lt-notices"});
    const box = make("section", {class: "lt-queue-box", hidden: true}, make("h3", {}, say("queue.title")), make("p", {class: "lt-muted"}, say("queue.how")), held, list);
    const node = make("div", {}, box);
    let entries = [], shown = "", seen = "";

    async function refresh() {
        const told = await get("queue"), now = JSON.stringify(told);
        entries = told.entries;
        if (now === shown) return; // what stands beside a button stays, and so does the focus
        shown = now;
        box.hidden = !entries.length;
        replace(held, told.held ? notice("note", told.text, {actions: [button(say("queue.go"), () => order(say("queue.gone"), () => post("queue/go")), {small: true})]}) : null);
        replace(list, ...entries.map((entry, at) => row(entry, at)));
    }

    const order = async (told, act) => {
        await act();
        await refresh();
        announce(told);
    };

    function row(entry, at) {
        const names = {name: entry.name, place: at + 1}, failed = entry.state === "failed";
        const way = (key, to, label) => button(say(`queue.${key}`), () => order(say("queue.moved", {name: entry.name, place: to + 1}), () => post(`queue/${entry.id}/move`, {to})),
            {small: true, disabled: to < 0 || to >= entries.length, "aria-label": say(label, names), data: {focus: `${key} ${entry.id}`}});
        const ways = failed ? [button(say("queue.settings"), () => openProject(entry.project, "train"), {small: true, "aria-label": say("queue.settings_label", names)})]
            : [way("up", at - 1, "queue.up_label"), way("down", at + 1, "queue.down_label")];
        return make("li", {class: failed ? "lt-queue-failed" : ""}, make("span", {class: "lt-queue-name"}, make("strong", {class: "lt-verbatim"}, entry.name),
            failed ? make("span", {class: "lt-severity"}, say("queue.failed")) : null, make("span", {class: "lt-muted lt-verbatim"}, changedText(entry.changed)),
            entry.message ? make("span", {class: "lt-field-error lt-verbatim"}, entry.message) : null),
        make("span", {class: "lt-row lt-queue-ways"}, ...ways,
            button(say("queue.remove"), () => order(say("queue.removed", names), () => remove(`queue/${entry.id}`)), {small: true, "aria-label": say("queue.remove_label", names)})));
    }

    on("run", (run) => {
        const now = `${run && run.id} ${run && run.state} ${state.other && state.other.id}`;
        if (now !== seen) refresh().catch(() => null);
        seen = now;
    });
    poll(async () => {
        await refresh();
        return entries.length > 0;
    }, {every: LOOK_MS, idle: IDLE_MS, node});
    return {node, refresh, length: () => entries.filter((entry) => entry.state !== "failed").length};
}

/** What a run of the queue has of its own, by the settings' names. */
const changedText = (changed) => Object.entries(changed || {}).map(([name, value]) =>
    say("presets.value", {label: knows(`setting.${name}.label`) ? say(`setting.${name}.label`) : name, value: String(value)})).join(say("train.comma"));

/** Ask for a setting and its values, and line up a run for each. `form` is the settings form; true when something was added. */
export async function sweepDialog(form) {
    const ids = {field: uid(), values: uid()}, specs = [...form.specs.values()].filter((spec) => !["lines", "numbers"].includes(spec.kind) && !FIXED.has(spec.name));
    const select = make("select", {id: ids.field, class: "lt-select", onchange: () => hint()}, ...specs.map((spec) => make("option", {value: spec.name}, say("queue.field", {label: spec.label, name: spec.name}))));
    select.value = form.specs.has("unet_lr") ? "unet_lr" : specs[0].name;
    const box = make("input", {type: "text", id: ids.values, autocomplete: "off", oninput: () => count()});
    const told = make("p", {class: "lt-muted", role: "status"}), choices = make("p", {class: "lt-muted lt-verbatim"});
    const hint = () => {
        const spec = form.specs.get(select.value);
        box.placeholder = spec.kind === "bool" ? "true, false" : (spec.choices || []).slice(0, 2).join(", ") || "0.0001, 0.0002";
        write(choices, spec.choices && spec.choices.length ? say("queue.choices", {choices: spec.choices.map((one) => one.value ?? one).join(", ")}) : "");
        count();
    };
    const values = () => readValues(form.specs.get(select.value), box.value);
    const count = () => write(told, values().length ? say("queue.sweep_count", {count: values().length}) : "");
    hint();
    return dialog(say("queue.sweep_title"), [make("p", {}, say("queue.sweep_how")), make("div", {class: "lt-stack"}, make("label", {htmlFor: ids.field}, say("queue.sweep_field")), select, choices,
        make("label", {htmlFor: ids.values}, say("queue.sweep_values")), box, told)], (close) => [
        button(say("queue.sweep_yes"), async () => {
            await post("queue", {project: state.project.id, sweep: {field: select.value, values: values()}});
            announce(say("queue.added"));
            close(true);
        }, {kind: "primary"}),
        button(say("common.cancel"), () => close(false))]);
}

/** The values in a line of text, of the setting's kind as far as they can be; the server says which it does not take. */
export function readValues(spec, text) {
    const parts = text.split(/[,，、;；]/).map((part) => part.trim()).filter(Boolean);
    if (spec.kind === "bool") return parts.map((part) => ({true: true, false: false})[part.toLowerCase()] ?? part);
    const numeric = spec.kind === "int" || spec.kind === "float" || (spec.choices || []).some((choice) => typeof (choice.value ?? choice) === "number");
    return numeric ? parts.map((part) => (Number.isNaN(Number(part)) ? part : Number(part))) : parts;
}

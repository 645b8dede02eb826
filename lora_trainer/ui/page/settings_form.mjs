/* All settings as controls: the basic ones open, the others folded in groups and found by plain name, raw name or help text. */

import {make, replace, write} from "./dom.mjs";
import {announce} from "./live.mjs";
import {button} from "./parts/button.mjs";
import {field} from "./parts/field.mjs";
import {fold} from "./parts/fold.mjs";
import {state} from "./state.mjs";
import {say} from "./texts.mjs";

const ELSEWHERE = new Set(["images"]); // brought in by the step Images

/** The form of a schema (`GET schema`). `on.change(values)` orders changes of settings (null takes one back) and may throw an ApiError.
    {basics, rest, specs, show(plan), lock(bool), point(name, message), label(name), refused(), changes()}: two
    nodes, and what is told to and asked of them; changes() counts, so that an answer from before one is known to be old. */
export function settingsForm(schema, on) {
    const groupsOf = schema.groups.map((group) => ({...group, fields: group.fields.filter((spec) => !ELSEWHERE.has(spec.name))}));
    const specs = new Map(groupsOf.flatMap((group) => group.fields.map((spec) => [spec.name, spec])));
    const form = {specs, fields: new Map(), plan: null, wrong: new Map(), locked: false, words: "", onlyChanged: false, changes: 0};
    for (const spec of specs.values()) form.fields.set(spec.name, control(form, spec, on));
    const basics = [...specs.values()].filter((spec) => spec.basic);
    const basicNode = make("div", {class: "lt-basics"}, ...basics.map((spec) => form.fields.get(spec.name).node));
    const groups = groupsOf.map((group) => groupFold(form, group)).filter(Boolean);
    const tools = searchTools(form, groups, on);
    const rest = make("section", {class: "lt-rest"}, make("h3", {}, say("train.all_settings")), tools.node, tools.told, ...groups.map((group) => group.node));
    return {
        basics: basicNode, rest, label: (name) => (specs.has(name) ? specs.get(name).label : name), specs,
        show(plan) {
            form.plan = plan;
            for (const [name, one] of form.fields) showField(form, name, one, plan);
            tools.refresh();
        },
        lock(locked) {
            form.locked = locked;
            for (const one of form.fields.values()) one.lock(locked);
            tools.refresh();
        },
        point: (name, message) => point(form, groups, name, message),
        changes: () => form.changes,
        refused: () => [...form.fields.keys()].find((name) => form.fields.get(name).node.classList.contains("lt-wrong")),
    };
}

function control(form, spec, on) {
    const order = async (value) => {
        const one = form.fields.get(spec.name);
        form.wrong.delete(spec.name);
        form.changes += 1;
        try {
            await on.change({[spec.name]: value});
        } catch (error) {
            const about = form.fields.get(error.field) || one;
            about.error(error.message);
            form.wrong.set(about.name, true);
            form.changes += 1;
            if (error.name !== "ApiError") throw error;
        }
    };
    return field(spec, {onchange: order, onreset: () => {
        form.wrong.delete(spec.name);
        form.fields.get(spec.name).error("");
        return order(null);
    }});
}

/** Put a plan's value into a control, unless the user has something there that was refused, or is typing. */
function showField(form, name, one, plan) {
    one.changed(plan.changed.includes(name));
    if (plan.base && name in plan.base) one.base(plan.base[name]);
    one.reason(form.specs.get(name).basic && !plan.changed.includes(name) ? plan.reasons[name] || "" : "");
    if (form.wrong.has(name) || (one.input === document.activeElement && one.input.matches("input[type=text], textarea"))) return;
    one.error("");
    let now;
    try {
        now = one.get();
    } catch (error) { // what is there is no value
        now = undefined;
    }
    if (name in plan.values && JSON.stringify(now) !== JSON.stringify(plan.values[name])) one.set(plan.values[name]);
}

/** Whether a setting means anything with the values that are set: its `needs` name the values that others must have. */
export function applies(spec, values) {
    return Object.entries(spec.needs || {}).every(([other, allowed]) => !(other in values) || allowed.some((one) => same(one, values[other])));
}

/** A value that is needed may be a plain one, or {"above": number} for every larger one, or {"not": value}. */
function same(wanted, value) {
    const is = (one) => JSON.stringify(one) === JSON.stringify(value), rule = wanted && typeof wanted === "object" ? wanted : {};
    return "above" in rule ? value > rule.above : "not" in rule ? !is(rule.not) : is(wanted);
}

function groupFold(form, group) {
    const names = group.fields.filter((spec) => !spec.basic).map((spec) => spec.name);
    if (!names.length) return null;
    const count = make("span", {class: "lt-changed-count", hidden: true});
    const node = fold(group.label, () => [make("div", {class: "lt-fields"}, ...names.map((name) => form.fields.get(name).node))]);
    node.dataset.group = group.key;
    node.querySelector("summary").append(count);
    return {node, names, count, own: false};
}

function searchTools(form, groups, on) {
    const search = make("input", {type: "search", class: "lt-search", "aria-label": say("train.search"), placeholder: say("train.search"),
        oninput: () => {
            form.words = search.value.trim().toLowerCase();
            refresh();
        }});
    const only = make("input", {type: "checkbox", onchange: () => {
        form.onlyChanged = only.checked;
        refresh();
    }});
    const all = button(say("train.reset_all"), async () => {
        form.wrong.clear();
        await on.change(Object.fromEntries(form.plan.changed.map((name) => [name, null])));
        announce(say("train.reset_done"));
    }, {small: true});
    const told = make("p", {class: "lt-muted", role: "status", hidden: true});
    const node = make("div", {class: "lt-row lt-tools"}, search, make("label", {class: "lt-check"}, only, say("train.only_changed")), all);

    function refresh() {
        all.disabled = form.locked || !form.plan || !form.plan.changed.length;
        showFound(form, groups, told);
    }
    return {node, told, refresh};
}

const found = (spec, words) => words.split(/\s+/).every((word) => `${spec.name} ${spec.name.replaceAll("_", " ")} ${spec.label} ${spec.help}`.toLowerCase().includes(word));

function showFound(form, groups, told) {
    const {changed} = form.plan || {changed: []}, values = withFamily(form.plan);
    const asked = Boolean(form.words) || form.onlyChanged;
    let hits = 0, off = 0;
    for (const group of groups) {
        let shown = 0;
        for (const name of group.names) {
            const spec = form.specs.get(name), applied = applies(spec, values) || form.wrong.has(name);
            const wanted = found(spec, form.words) && (!form.onlyChanged || changed.includes(name));
            form.fields.get(name).show(wanted && applied);
            shown += Number(wanted && applied);
            off += Number(wanted && !applied);
        }
        hits += shown;
        group.node.hidden = !shown;
        openWhileSearching(group, asked && shown > 0);
        const own = group.names.filter((name) => changed.includes(name)).length;
        write(group.count, own ? say("train.changed_count", {count: own}) : "");
    }
    for (const [name, spec] of form.specs) if (spec.basic) form.fields.get(name).show(applies(spec, values) || form.wrong.has(name));
    const basic = form.words ? [...form.specs.values()].filter((spec) => spec.basic && found(spec, form.words)).map((spec) => spec.label) : [];
    const lines = [asked && say(hits ? "train.found" : "train.found_none", {count: hits}), basic.length && say("train.found_basic", {names: basic.join(say("train.comma"))}),
        asked && off && say("train.found_off", {count: off})];
    write(told, lines.filter(Boolean).join(" "));
}

/** A plan's values, with the checkpoint's family where it is known: some settings mean something for one family alone. */
function withFamily(plan) {
    const family = (plan && plan.family) || (state.about.checkpoint && state.about.checkpoint.family);
    return {...(family ? {family} : {}), ...(plan ? plan.values : {})};
}

function openWhileSearching(group, open) {
    if (open && !group.node.open) {
        group.own = true;
        group.node.open = true;
    } else if (!open && group.own) {
        group.own = false;
        group.node.open = false;
    }
}

/** Show what is wrong with a setting, and bring it into view. False when there is no such control. */
function point(form, groups, name, message) {
    const one = form.fields.get(name);
    if (!one) return false;
    const group = groups.find((candidate) => candidate.names.includes(name));
    if (group) group.node.open = true;
    one.show(true);
    if (message) one.error(message);
    requestAnimationFrame(() => one.input.focus());
    return true;
}

/** The values of a plan that differ from the defaults, for a preset: not what belongs to one project alone. */
export function presetValues(specs, plan) {
    const own = new Set(["images", "trigger", "name", "out", "checkpoint", "network_weights", "training_comment"]);
    return Object.fromEntries(Object.entries(plan.values).filter(([name, value]) => specs.has(name) && !own.has(name)
        && JSON.stringify(value) !== JSON.stringify(specs.get(name).default)));
}

/** A list of reasons: which setting, its value, and why. */
export function reasonList(form, plan) {
    const names = Object.keys(plan.reasons).filter((name) => form.specs.has(name) && !plan.changed.includes(name));
    const node = make("dl", {class: "lt-reasons"});
    return replace(node, ...names.flatMap((name) => [make("dt", {title: name}, make("span", {}, form.label(name)), " ",
        make("b", {class: "lt-verbatim"}, valueText(plan.values[name]))), make("dd", {}, plan.reasons[name])]));
}

const valueText = (value) => value === true ? say("train.yes") : value === false ? say("train.no")
    : Array.isArray(value) ? value.join(", ") : value === "" ? say("train.empty") : String(value);

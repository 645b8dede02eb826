/* Presets: choose one, see why it is so, keep and share one's own, and take over what other trainers or a LoRA file say. */

import {get, picture, post, remove} from "./api.mjs";
import {make, replace, uid, write} from "./dom.mjs";
import {announce} from "./live.mjs";
import {button} from "./parts/button.mjs";
import {confirm, dialog} from "./parts/dialog.mjs";
import {menu} from "./parts/menu.mjs";
import {tellProblem} from "./parts/notice.mjs";
import {change, state} from "./state.mjs";
import {presetValues, reasonList} from "./settings_form.mjs";
import {fold} from "./parts/fold.mjs";
import {say} from "./texts.mjs";

const AUTO = "auto";

/** {node, show(plan), lock(bool)}: the chooser with its menu and the reasons for its values. `form` is the settings form. */
export function presetBox(form) {
    const id = uid(), now = {presets: [], plan: null, locked: false};
    const select = make("select", {id, class: "lt-select", onchange: async () => {
        try {
            await change({preset: select.value});
        } catch (error) {
            tellProblem(select, error);
            select.value = state.project.preset;
        }
    }});
    const more = menu(say("presets.more"), () => items(now, form, refresh), {small: true});
    const text = make("p", {class: "lt-muted"}), why = make("div", {});
    const reasons = fold(say("presets.why"), () => [why], {remember: "why"});
    const node = make("section", {class: "lt-presets"}, make("div", {class: "lt-row"}, make("label", {htmlFor: id, class: "lt-strong"}, say("presets.preset")), select, more.node), text, reasons);

    async function refresh() {
        now.presets = await get("presets");
        fill();
    }

    function fill() {
        if (!now.plan) return;
        const {plan, presets} = now, chosen = state.project.preset || AUTO;
        const option = (preset) => make("option", {value: preset.id}, preset.memory_gb ? say("presets.option", {title: preset.title, memory: preset.memory_gb}) : preset.title);
        const groups = [["presets.built_in", presets.filter((preset) => !preset.own)], ["presets.own", presets.filter((preset) => preset.own)]];
        const automatic = say("presets.auto", {title: chosen === AUTO ? plan.preset.title : ""}).replace(/\s*[:：]\s*$/, "");
        replace(select, make("option", {value: AUTO}, automatic),
            ...groups.filter(([, list]) => list.length).map(([key, list]) => make("optgroup", {label: say(key)}, ...list.map(option))));
        select.value = chosen;
        write(text, chosen === AUTO ? say("presets.auto_how") : "");
        reasons.hidden = !Object.keys(plan.reasons).length;
        replace(why, reasonList(form, plan));
        select.disabled = now.locked;
        more.opener.disabled = now.locked;
    }

    refresh().catch((error) => tellProblem(select, error));
    return {node, show(plan) {
        now.plan = plan;
        fill();
    }, lock(locked) {
        now.locked = locked;
        fill();
    }};
}

function items(now, form, refresh) {
    const own = now.presets.find((preset) => preset.own && preset.id === state.project.preset);
    const shared = now.plan.preset.id;
    return [
        {label: say("presets.save"), onclick: () => save(now, form, refresh)},
        shared ? {label: say("presets.share"), onclick: () => download(`presets/${encodeURIComponent(shared)}/file`)} : null,
        null,
        {label: say("presets.import"), onclick: () => importText(form)},
        {label: say("presets.like"), onclick: () => importLora(form)},
        own ? null : undefined,
        own ? {label: say("presets.delete", {title: own.title}), danger: true, onclick: () => discard(own, refresh)} : undefined,
    ].filter((item) => item !== undefined);
}

function download(path) {
    const link = make("a", {href: picture(path), download: "", class: "lt-away"});
    document.getElementById("lora_trainer").append(link);
    link.click();
    link.remove();
}

async function save(now, form, refresh) {
    const id = uid(), name = make("input", {type: "text", id, maxLength: 80, value: state.project.name});
    await dialog(say("presets.save_title"), [make("p", {}, say("presets.save_how")), make("label", {htmlFor: id}, say("presets.name")), name], (close) => [
        button(say("presets.save_yes"), async () => {
            const made = await post("presets", {name: name.value.trim(), settings: presetValues(form.specs, now.plan)});
            close();
            await refresh();
            if (made && made.id) await change({preset: made.id});
            announce(say("presets.saved", {name: name.value.trim()}));
        }, {kind: "primary"}),
        button(say("common.cancel"), () => close())]);
}

async function discard(preset, refresh) {
    if (!await confirm(say("presets.delete_title", {title: preset.title}), say("presets.delete_text"), {yes: say("presets.delete_yes"), danger: true})) return;
    await change({preset: AUTO});
    await remove(`presets/${encodeURIComponent(preset.id)}`);
    await refresh();
}

/** Settings from a file or from pasted text: kohya's TOML or JSON, its command line, or a preset of ours. */
async function importText(form) {
    const id = uid(), box = make("textarea", {id, rows: 7, spellcheck: "false"});
    const file = make("input", {type: "file", accept: ".toml,.json,.txt,.sh,.ps1,.bat,.cfg", "aria-label": say("presets.choose_file"), onchange: async () => {
        if (file.files[0]) box.value = await file.files[0].text();
    }});
    await importing(form, say("presets.import"), [make("p", {}, say("presets.import_how")), file, make("label", {htmlFor: id}, say("presets.paste")), box], () => ({text: box.value}));
}

/** The settings with which a LoRA was trained, as far as its file tells. */
async function importLora(form) {
    const id = uid(), name = make("input", {type: "text", id});
    await importing(form, say("presets.like"), [make("p", {}, say("presets.like_how")), make("label", {htmlFor: id}, say("presets.lora_name")), name], () => ({lora: name.value.trim()}));
}

/** First what would be taken over and what not is shown, then it is done. */
async function importing(form, title, asked, body) {
    const read = await dialog(title, asked, (close) => [
        button(say("presets.read"), async () => close(await post("settings/import", body())), {kind: "primary"}),
        button(say("common.cancel"), () => close())], {wide: true});
    if (!read) return;
    const lists = [["presets.taken", read.taken], ["presets.different", read.different], ["presets.ignored", read.ignored]].filter(([, list]) => (list || []).length);
    const shown = lists.flatMap(([key, list]) => [make("h4", {}, say(key)), make("ul", {class: "lt-plain-list"}, ...list.map((entry) => make("li", {class: "lt-verbatim"}, entryText(form, entry, read.values))))]);
    await dialog(title, shown.length ? shown : [make("p", {}, say("presets.nothing"))], (close) => [
        Object.keys(read.values || {}).length ? button(say("presets.take"), async () => {
            await change({settings: read.values});
            announce(say("presets.taken_done"));
            close();
        }, {kind: "primary"}) : null,
        button(say("common.cancel"), () => close())].filter(Boolean), {wide: true});
}

/** What is listed are sentences, or names of settings, which get their value beside them. */
function entryText(form, entry, values) {
    if (typeof entry !== "string") return (entry.text || entry.message || Object.values(entry).join(" "));
    return form.specs.has(entry) ? say("presets.value", {label: form.label(entry), value: JSON.stringify(values[entry] ?? null).replace(/^"|"$/g, "")}) : entry;
}

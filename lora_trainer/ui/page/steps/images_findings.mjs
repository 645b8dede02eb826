/* What the doctor found: each with the images, why it matters and, where there is one, the remedy. */

import {get, post} from "../api.mjs";
import {emit} from "../bus.mjs";
import {make, replace, verbatim} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {reload, showStep, state} from "../state.mjs";
import {order} from "../tasks.mjs";
import {say} from "../texts.mjs";

const UNTAGGED = ["caption_missing", "caption_empty"]; // the button that starts tags them anyway
const RANK = ["error", "warning", "note"];

/** {node, refresh(), check()}; `onshow(key, what)` is asked to show a finding's images. */
export function findings(onshow) {
    const list = make("ul", {class: "lt-findings"}), head = make("div", {class: "lt-row lt-spread"});
    const node = make("section", {class: "lt-card lt-stack lt-tight", "aria-label": say("images.findings"), "data-problems": ""}, head, list);
    let asked = 0;

    async function refresh() {
        const project = state.project, mine = ++asked;
        if (!project || !project.count) {
            node.hidden = true;
            return null;
        }
        const told = await get(`projects/${project.id}/findings`);
        if (mine !== asked || !state.project) return null;
        node.hidden = false;
        show(told);
        return told;
    }

    function show(told) {
        const groups = grouped(told.findings);
        const sentence = told.checked ? (groups.length ? say(groups.length === 1 ? "images.found_one" : "images.found", {count: groups.length}) : say("images.found_none")) : say("images.unchecked");
        replace(head, make("div", {class: "lt-row"}, make("h2", {class: groups.length || !told.checked ? "lt-sub" : "lt-sub lt-fine"}, sentence), told.stale ? make("span", {class: "lt-muted"}, say("images.stale")) : null),
            button(say(told.checked ? "images.check_again" : "images.check"), check, {small: true, "data-focus": "check"}));
        replace(list, ...groups.map((group) => entry(group, onshow, refresh)));
    }

    async function check() {
        await order(`projects/${state.project.id}/check`);
        await refresh();
        emit("images");
    }

    return {node, refresh, check};
}

/** Findings of one kind together, the worst first. */
function grouped(found) {
    const groups = new Map();
    for (const one of found) groups.set(one.key, [...(groups.get(one.key) || []), one]);
    return [...groups.values()].sort((one, other) => RANK.indexOf(one[0].severity) - RANK.indexOf(other[0].severity));
}

function entry(group, onshow, refresh) {
    const {key, severity, what, why, help, remedy} = group[0];
    const images = [...new Set(group.flatMap((one) => one.images))];
    const title = group.length > 1 ? say("images.found_groups", {what, more: group.length - 1}) : what;
    const actions = row(
        UNTAGGED.includes(key) ? button(say("images.tag_them"), () => showStep("tags"), {small: true}) : null,
        images.length ? button(say("images.show", {count: images.length}), () => onshow(key, title), {small: true, "data-focus": `show ${key}`}) : null,
        remedy ? button(say("images.fix"), () => fix(key, refresh), {small: true, "aria-label": say("images.fix_how", {help}), "data-focus": `fix ${key}`}) : null);
    return make("li", {class: `lt-finding lt-finding-${severity}`},
        make("div", {class: "lt-finding-words"}, make("p", {}, make("span", {class: "lt-severity"}, say(`images.severity_${severity}`)), verbatim(title)),
            make("p", {class: "lt-muted"}, make("span", {}, why), " ", make("span", {class: "lt-finding-help"}, remedy ? say("images.remedy", {help}) : help))), actions);
}

async function fix(key, refresh) {
    const {text} = await post(`projects/${state.project.id}/findings/${encodeURIComponent(key)}/fix`, {});
    announce(text);
    emit("saved", text);
    emit("images");
    emit("captions");
    await reload();
    await refresh();
}

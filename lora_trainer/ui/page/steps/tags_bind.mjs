/* Bind to the trigger: what is in most captions is taken out of them, so that the trigger alone calls it. */

import {get, post} from "../api.mjs";
import {emit, on} from "../bus.mjs";
import {later, make, replace, verbatim, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";

/** The content of the fold. `before()` is awaited ahead of the change. */
export function binding(before) {
    const explanation = make("p", {class: "lt-help"}), list = make("ul", {class: "lt-bindings"}), told = make("p", {class: "lt-preview", role: "status"});
    const off = new Set();
    let boxes = [];
    const go = button(say("tags.bind_do"), act, {kind: "primary"});
    const node = make("div", {class: "lt-stack lt-tight", "data-problems": ""}, explanation, list, make("div", {class: "lt-row"}, row(go), told));

    async function load() {
        if (!state.project || node.closest(".lt-step")?.hidden) return;
        const answer = await get(`projects/${state.project.id}/bindings`);
        const found = Array.isArray(answer) ? answer : answer.bindings || answer.tags || [];
        write(explanation, (!Array.isArray(answer) && (answer.text || answer.explanation)) || say("tags.bind_help"));
        boxes = found.map((one) => option(one));
        replace(list, ...(boxes.length ? boxes.map((one) => one.node) : [make("li", {class: "lt-muted"}, say("tags.bind_none"))]));
        go.hidden = !boxes.length;
        preview();
    }

    function option({tag, count, share, text}) {
        const input = make("input", {type: "checkbox", checked: !off.has(tag), "data-focus": `bind ${tag}`, onchange: () => {
            if (input.checked) off.delete(tag);
            else off.add(tag);
            preview();
        }});
        const said = text || say("tags.bind_share", {count, percent: Math.round(100 * share)});
        return {tag, input, node: make("li", {}, make("label", {class: "lt-check"}, input, verbatim(tag, "span", {class: "lt-bind-tag"}), make("span", {class: "lt-muted"}, said)))};
    }

    const words = () => boxes.filter((one) => one.input.checked).map((one) => one.tag);
    const order = () => ({operation: {kind: "remove", words: words()}, selection: {scope: "all", filter: "", images: []}});

    const preview = later(async () => {
        go.setAttribute("aria-disabled", String(!words().length));
        if (!words().length || !state.project) return write(told, "");
        const found = await post(`projects/${state.project.id}/captions/preview`, order());
        return write(told, found.text);
    }, 250);

    async function act() {
        if (!words().length) return;
        await before();
        const done = await post(`projects/${state.project.id}/captions/apply`, order());
        announce(done.text);
        emit("saved", done.text);
        emit("captions");
        await reload();
    }

    const refresh = later(() => load().catch(console.error), 250);
    for (const name of ["captions", "project", "step"]) on(name, refresh);
    refresh();
    return node;
}

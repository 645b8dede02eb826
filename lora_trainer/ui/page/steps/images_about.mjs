/* What the images show: the goal, the trigger word, the name. The only things a newcomer has to say. */

import {later, make, verbatim} from "../dom.mjs";
import {choices, labelled} from "../parts/choices.mjs";
import {tellProblem} from "../parts/notice.mjs";
import {change, state} from "../state.mjs";
import {say} from "../texts.mjs";

const SAVE_MS = 700;

/** {node, show(project)}. What is typed is saved by itself. */
export function about() {
    const goal = choices(say("images.goal"), ["character", "style", "object"].map((kind) => [kind, say(`images.goal_${kind}`)]),
        {onchange: choose});
    let saving = 0; // what is on its way to the server is not overwritten by what came from there before

    async function choose(value) {
        saving += 1;
        await save({goal: value}, goal);
        saving -= 1;
    }

    const trigger = text(say("images.trigger"), say("images.trigger_help"), {maxlength: 100, placeholder: say("images.trigger_example")}, (value) => ({settings: {trigger: value || null}}));
    const name = text(say("images.name"), say("images.name_help"), {maxlength: 100}, (value) => ({name: value}));
    const base = make("p", {class: "lt-base"});
    const node = make("div", {class: "lt-stack lt-about"}, goal.node, make("div", {class: "lt-two"}, trigger.node, name.node),
        make("div", {}, make("span", {class: "lt-label"}, say("images.base")), base));

    function show(project) {
        if (!saving) goal.set(project.goal);
        trigger.show((project.settings || {}).trigger || "");
        name.show(project.name || "");
        const {title, family} = state.about.checkpoint || {};
        base.parentNode.hidden = !title; // what is wrong then stands beside the button that starts
        base.replaceChildren(...(title ? [verbatim(title), family ? make("span", {class: "lt-muted"}, ` · ${family}`) : ""] : []));
    }

    return {node, show, trigger, name};
}

async function save(values, part) {
    try {
        if (part.error) part.error("");
        await change(values);
    } catch (error) {
        if (part.error && error.name === "ApiError") part.error(error.message);
        else tellProblem(part.node, error);
    }
}

/** A text that is saved a moment after it was typed, or when it is left; what is being typed is not overwritten. */
function text(label, help, attributes, values) {
    const input = make("input", {type: "text", class: "lt-verbatim", autocomplete: "off", spellcheck: "false", ...attributes});
    const box = labelled(label, input, {help});
    let kept = "";
    const store = later(() => {
        const value = input.value.trim();
        if (value === kept) return undefined;
        kept = value;
        return save(values(value), box);
    }, SAVE_MS);
    input.addEventListener("input", store);
    input.addEventListener("change", () => store.flush());
    const show = (value) => {
        if (store.waiting() || (document.activeElement === input && value !== input.value && input.value !== kept)) return;
        kept = value;
        if (input.value.trim() !== value) input.value = value;
    };
    return {node: box.node, error: box.error, input, show, flush: () => store.flush()};
}

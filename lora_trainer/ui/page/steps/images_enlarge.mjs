/* More out of the same set: crops, faces, parts, mirror images, and pictures that keep the model from forgetting. */

import {post} from "../api.mjs";
import {emit, on} from "../bus.mjs";
import {make, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {labelled, select} from "../parts/choices.mjs";
import {reload, state} from "../state.mjs";
import {follow} from "../tasks.mjs";
import {say} from "../texts.mjs";
import {countOrAll, imagesOrAll, selected} from "./selection.mjs";

const path = (verb) => `projects/${state.project.id}/${verb}`;

/** The tools, in cards. What they work on is said above them and follows the choice of images. */
export function enlarging() {
    const scope = make("p", {class: "lt-label"});
    const tell = () => write(scope, selected().length ? say("images.on_selected", {count: countOrAll()}) : say("images.on_all", {count: countOrAll()}));
    on("selection", tell);
    on("project", tell);
    tell();
    return make("div", {class: "lt-stack"}, scope, make("div", {class: "lt-cards"}, crop(), derive("faces", 2), derive("split", 1), derive("mirror", 1)), regularisation());
}

/** A task answers {"task"}, a quick order {"text"}: both are followed to their end. */
async function done(verb, body) {
    const told = await post(path(verb), body);
    if (told && told.task) await follow(told.task);
    if (told && told.text) {
        announce(told.text);
        emit("saved", told.text);
    }
    await reload();
    emit("images");
    emit("captions");
}

const card = (title, help, ...content) => make("section", {class: "lt-card lt-stack lt-tight"}, make("h2", {class: "lt-sub"}, title), make("p", {class: "lt-help"}, help), ...content);

const MOST_REPEATS = 1000, MOST_DRAWN = 5000;

const number = (value, attributes = {}) => make("input", {type: "number", value, class: "lt-number", step: 1, ...attributes});

/** A whole number within the bounds of its input, which shows it then. */
function whole(input) {
    const value = Math.round(Number(input.value)) || Number(input.min);
    input.value = Math.min(Math.max(value, Number(input.min)), input.max === "" ? value : Number(input.max));
    return Number(input.value);
}

function crop() {
    const by = select([["focus", say("images.crop_focus")], ["centre", say("images.crop_centre")]], {value: "focus"});
    const size = select([["512x512", "512 × 512"], ["768x768", "768 × 768"], ["1024x1024", "1024 × 1024"], ["832x1216", "832 × 1216"], ["1216x832", "1216 × 832"]],
        {value: /xl/i.test((state.about.checkpoint || {}).family || "") ? "1024x1024" : "512x512"});
    return card(say("images.crop"), say("images.crop_help"), make("div", {class: "lt-two"}, labelled(say("images.crop_by"), by).node, labelled(say("images.crop_size"), size).node),
        row(button(say("images.crop_do"), () => {
            const [width, height] = size.value.split("x").map(Number);
            return done("crop", {images: imagesOrAll(), by: by.value, width, height});
        })));
}

function derive(kind, times) {
    const count = number(times, {min: 1, max: MOST_REPEATS});
    return card(say(`images.${kind}`), say(`images.${kind}_help`), labelled(say("images.own_repeats"), count).node,
        row(button(say(`images.${kind}_do`), () => done("derive", {kind, images: imagesOrAll(), repeats: whole(count)})),
            button(say("images.derived_remove"), () => done("remove_derived", {kind}), {kind: "quiet"})));
}

function regularisation() {
    const folder = make("input", {type: "text", class: "lt-verbatim", placeholder: say("images.path_example"), autocomplete: "off", spellcheck: "false"});
    const prompt = make("input", {type: "text", class: "lt-verbatim", placeholder: "1girl", autocomplete: "off"});
    const count = number(100, {min: 1, max: MOST_DRAWN}), seed = number(1, {min: 0});
    const present = make("p", {class: "lt-muted"});
    const tell = () => write(present, state.project && state.project.reg ? say("images.reg_present", {count: state.project.reg}) : "");
    on("project", tell);
    tell();
    return card(say("images.reg"), say("images.reg_help"), present,
        make("div", {class: "lt-columns"},
            make("div", {class: "lt-stack lt-tight"}, labelled(say("images.reg_folder"), folder).node, row(button(say("images.reg_use"), () => done("reg", {path: folder.value.trim()})))),
            make("div", {class: "lt-stack lt-tight"}, labelled(say("images.reg_prompt"), prompt, {help: say("images.reg_prompt_help")}).node,
                make("div", {class: "lt-two"}, labelled(say("images.reg_count"), count).node, labelled(say("images.reg_seed"), seed).node),
                row(button(say("images.reg_draw"), () => done("reg", {prompt: prompt.value.trim(), count: whole(count), seed: whole(seed)}))))));
}

/* The bar that lets a tagger describe the images. */

import {on} from "../bus.mjs";
import {later, make, uid, write} from "../dom.mjs";
import {button} from "../parts/button.mjs";
import {check, labelled, select} from "../parts/choices.mjs";
import {state} from "../state.mjs";
import {bytes, say} from "../texts.mjs";
import {known, offered, tag} from "./tagging.mjs";

const MODES = ["missing", "overwrite", "append", "prepend"];

/** {node, refresh()}: `before()` is awaited ahead of tagging. */
export function tagging(before) {
    const found = {taggers: []};
    const tagger = select([], {onchange: fit}), mode = select(MODES.map((one) => [one, say(`tags.mode_${one}`)]), {value: "missing"});
    const threshold = slider(0.35), character = slider(0.85);
    const skip = make("input", {type: "text", class: "lt-verbatim", autocomplete: "off", spellcheck: "false", placeholder: say("tags.skip_example")});
    const ratings = check(say("tags.ratings")), mcut = check(say("tags.mcut")), underscores = check(say("tags.underscores")), escape = check(say("tags.escape"));
    const limit = make("input", {type: "number", class: "lt-number", min: 0, step: 1, value: 0});
    const order = select(["probability", "alphabetical"].map((one) => [one, say(`tags.order_${one}`)]), {value: "probability"});
    const about = make("p", {class: "lt-help lt-tagger-text"});
    const names = labelled(say("tags.character_threshold"), character.input, {help: say("tags.character_threshold_help")}).node;
    names.append(character.told);
    const tagged = { // fields that only a tagger of tags has
        node: make("div", {class: "lt-more"}, names, labelled(say("tags.limit"), limit, {help: say("tags.limit_help")}).node, labelled(say("tags.order"), order).node,
            make("div", {class: "lt-stack lt-tight"}, mcut.node, ratings.node, underscores.node, escape.node)),
    };
    const more = make("details", {class: "lt-inline-help"}, make("summary", {}, say("tags.more")), tagged.node);
    const go = button(say("tags.tag"), act, {kind: "primary"});
    const sense = labelled(say("tags.threshold"), threshold.input);
    const node = make("section", {class: "lt-card lt-stack lt-tight", "aria-label": say("tags.auto"), "data-problems": ""}, make("h2", {class: "lt-sub"}, say("tags.auto")),
        make("div", {class: "lt-auto"}, labelled(say("tags.tagger"), tagger).node, labelled(say("tags.mode"), mode).node, sense.node, labelled(say("tags.skip"), skip).node, go), about, more);
    sense.node.append(threshold.told);

    async function load() {
        if (!state.project || !node.isConnected) return;
        const {taggers, options} = await known();
        found.taggers = taggers;
        tagger.replaceChildren(...taggers.map((one) => make("option", {value: one.name}, label(one))));
        const first = offered({taggers, options});
        if (first) tagger.value = first.name;
        fill(options);
        fit();
    }

    function fill(options) {
        if (options.mode) mode.value = options.mode;
        threshold.set(options.threshold ?? null);
        character.set(options.character_threshold ?? 0.85);
        skip.value = options.blacklist || "";
        limit.value = options.limit || 0;
        if (options.order) order.value = options.order;
        for (const [name, box] of Object.entries({ratings, mcut, underscores, escape})) if (name in options) box.input.checked = options[name];
    }

    const own = () => found.taggers.find((one) => one.name === tagger.value);

    /** Only what this tagger understands is shown. */
    function fit() {
        const one = own();
        const sentences = one && one.kind === "sentence";
        sense.node.hidden = sentences;
        if (one) threshold.usual(one.threshold ?? 0.35);
        more.hidden = sentences;
        write(about, one ? one.text || "" : say("tags.no_tagger"));
        go.setAttribute("aria-disabled", String(!one));
    }

    async function act() {
        if (!own()) return;
        await before();
        const done = await tag({tagger: tagger.value, mode: mode.value, threshold: threshold.get(), character_threshold: character.get() ?? 0.85, ratings: ratings.input.checked, mcut: mcut.input.checked,
            blacklist: skip.value.trim(), underscores: underscores.input.checked, escape: escape.input.checked, order: order.value, limit: Math.max(0, Math.round(Number(limit.value)) || 0)}, own());
        if (done) refresh();
    }

    const refresh = later(() => load().catch((error) => write(about, error.message)), 100);
    let shown = "";
    on("project", (project) => {
        if (shown !== (project ? project.id : "")) refresh();
        shown = project ? project.id : "";
    });
    return {node, refresh};
}

/** A tagger's name, and what it would cost to have it. */
const label = (one) => (one.present || !one.size ? one.title : say("tags.to_download", {name: one.title, size: bytes(one.size)}));

/** A slider that stands at the tagger's own value until somebody moves it: `get()` is null as long as nobody has. */
function slider(value) {
    const told = make("output", {class: "lt-slider-value", id: uid(), "aria-hidden": "true"}, value.toFixed(2));
    const moved = {own: null};
    const input = make("input", {type: "range", min: 0.05, max: 0.95, step: 0.01, value, oninput: () => {
        moved.own = Number(input.value);
        tell();
    }});
    const tell = () => { told.textContent = Number(input.value).toFixed(2); };
    const set = (fresh) => {
        moved.own = fresh;
        if (fresh !== null) input.value = fresh;
        tell();
    };
    return {
        input, told, set, get: () => moved.own,
        usual(fresh) {
            if (moved.own === null) input.value = fresh;
            tell();
        },
    };
}

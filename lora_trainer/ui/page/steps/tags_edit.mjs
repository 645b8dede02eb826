/* One change to many captions: what, on which images; how many it changes is said before it is done. */

import {post} from "../api.mjs";
import {emit, on} from "../bus.mjs";
import {later, make, replace, verbatim, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button} from "../parts/button.mjs";
import {check, labelled, select} from "../parts/choices.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";
import {selected} from "./selection.mjs";

const SETTLE_MS = 350;
const KINDS = ["add", "remove", "replace", "pattern", "deduplicate", "sort"];
const text = (attributes = {}) => make("input", {type: "text", class: "lt-verbatim", autocomplete: "off", spellcheck: "false", ...attributes});

/** {node, refresh(), useTags(tags), shown(count, filter)}: `before()` is awaited ahead of a change (what is typed is saved). */
export function editing(before) {
    const sight = {shown: 0, filter: "", asked: 0, own: false};
    const kind = select(KINDS.map((one) => [one, say(`tags.edit_${one}`)]), {value: "add", onchange: changeKind});
    const scope = select([], {onchange: () => {
        sight.own = true;
        preview();
    }});
    const parts = fieldsOf(() => preview());
    const place = make("div", {class: "lt-edit-fields"});
    const told = make("p", {class: "lt-preview", role: "status"}), samples = make("ul", {class: "lt-samples"});
    const examples = make("details", {class: "lt-inline-help", hidden: true}, make("summary", {}, say("tags.examples")), samples);
    const apply = button(say("common.apply"), act, {kind: "primary"});
    const node = make("section", {class: "lt-card lt-edit", "aria-label": say("tags.edit"), "data-problems": ""}, make("h2", {class: "lt-sub"}, say("tags.edit")),
        make("div", {class: "lt-edit-row"}, labelled(say("tags.edit_what"), kind).node, place, labelled(say("tags.edit_on"), scope).node),
        make("div", {class: "lt-row lt-edit-foot"}, apply, told), examples);

    function changeKind() {
        place.replaceChildren(...parts[kind.value].nodes);
        preview();
    }

    function scopes() {
        const chosen = selected().length, was = scope.value;
        const options = [["all", say("tags.scope_all", {count: state.project ? state.project.count : 0})]];
        if (sight.filter) options.push(["filtered", say("tags.scope_shown", {count: sight.shown})]);
        if (chosen) options.push(["selected", say("tags.scope_selected", {count: chosen})]);
        scope.replaceChildren(...options.map(([value, label]) => make("option", {value}, label)));
        const keep = sight.own && options.some(([value]) => value === was); // until somebody says otherwise: what is chosen, else what is shown
        scope.value = keep ? was : options.at(-1)[0];
    }

    const order = () => ({operation: {kind: kind.value, ...parts[kind.value].values()}, selection: {scope: scope.value, filter: sight.filter, images: scope.value === "selected" ? selected() : []}});

    const ready = () => parts[kind.value].ready();

    const preview = later(async () => {
        const mine = ++sight.asked;
        if (!state.project || !node.isConnected || !ready()) return quiet("");
        try {
            const found = await post(`projects/${state.project.id}/captions/preview`, order());
            if (mine !== sight.asked) return undefined;
            write(told, found.text);
            told.classList.remove("lt-field-error");
            apply.setAttribute("aria-disabled", String(!found.changes));
            return exemplify(found.samples || []);
        } catch (error) {
            if (mine !== sight.asked) return undefined;
            quiet(error.message);
            return told.classList.add("lt-field-error");
        }
    }, SETTLE_MS);

    function quiet(sentence) {
        write(told, sentence);
        apply.setAttribute("aria-disabled", "true");
        exemplify([]);
    }

    function exemplify(found) {
        examples.hidden = !found.length;
        replace(samples, ...found.slice(0, 5).map((one) => make("li", {}, make("del", {}, verbatim(one.before || say("tags.empty"))), make("ins", {}, verbatim(one.after || say("tags.empty"))))));
    }

    async function act() {
        if (apply.getAttribute("aria-disabled") === "true") return;
        await before();
        const done = await post(`projects/${state.project.id}/captions/apply`, order());
        announce(done.text);
        emit("saved", done.text);
        emit("captions");
        await reload();
        preview();
    }

    const refresh = () => {
        scopes();
        preview();
    };
    for (const name of ["selection", "project", "captions", "images"]) on(name, refresh);
    apply.setAttribute("aria-disabled", "true");
    scopes();
    changeKind();
    return {
        node, refresh,
        /** The tags chosen in the list are what the next change is about. */
        useTags(tags) {
            if (!tags.length) return;
            parts.remove.use(tags);
            parts.replace.use(tags);
            if (kind.value === "add" && !parts.add.ready()) kind.value = "remove";
            changeKind();
        },
        shown(count, filter) {
            Object.assign(sight, {shown: count, filter});
            refresh();
        },
    };
}

/** The fields of each kind of change: {nodes, values(), ready(), use(tags)}. */
function fieldsOf(changed) {
    const input = (attributes) => text({...attributes, oninput: changed});
    const add = {words: input({placeholder: say("tags.words_example")}), at: select([["first", say("tags.at_first")], ["last", say("tags.at_last")]], {value: "last", onchange: changed}), move: check(say("tags.move"), {onchange: changed})};
    const remove = input({placeholder: say("tags.words_example")});
    const swap = {old: input(), fresh: input(), inside: check(say("tags.inside"), {onchange: changed})};
    const pattern = {pattern: input({placeholder: "^(\\w+) hair$"}), fresh: input({placeholder: "\\1-haired"}), fold: check(say("tags.ignore_case"), {onchange: changed})};
    const sort = check(say("tags.by_frequency"), {onchange: changed});
    const words = (box) => box.value.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);
    const label = (key, box) => labelled(say(`tags.${key}`), box).node;
    return {
        add: {nodes: [label("words", add.words), label("at", add.at), add.move.node], ready: () => words(add.words).length > 0,
            values: () => ({words: add.words.value, at: add.at.value === "first" ? 0 : null, move: add.move.input.checked})},
        remove: {nodes: [label("words", remove)], ready: () => words(remove).length > 0, values: () => ({words: words(remove)}), use: (tags) => { remove.value = tags.join(", "); }},
        replace: {nodes: [label("old", swap.old), label("new", swap.fresh), swap.inside.node], ready: () => swap.old.value.trim() !== "",
            values: () => ({old: swap.old.value.trim(), new: swap.fresh.value.trim(), inside: swap.inside.input.checked}), use: (tags) => { swap.old.value = tags[0]; }},
        pattern: {nodes: [label("pattern", pattern.pattern), label("new", pattern.fresh), pattern.fold.node], ready: () => pattern.pattern.value !== "",
            values: () => ({pattern: pattern.pattern.value, new: pattern.fresh.value, ignore_case: pattern.fold.input.checked})},
        deduplicate: {nodes: [make("p", {class: "lt-help"}, say("tags.deduplicate_help"))], ready: () => true, values: () => ({})},
        sort: {nodes: [sort.node], ready: () => true, values: () => ({by_frequency: sort.input.checked})},
    };
}

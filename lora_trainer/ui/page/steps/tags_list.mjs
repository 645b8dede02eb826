/* All tags of the set with their counts; the untagged images first. A choice here filters the images. */

import {get} from "../api.mjs";
import {on} from "../bus.mjs";
import {later, make, write} from "../dom.mjs";
import {listbox} from "../parts/listbox.mjs";
import {state} from "../state.mjs";
import {say} from "../texts.mjs";
import {exactly} from "./tags_filter.mjs";

const MOST = 500, SETTLE_MS = 200;
const UNTAGGED = "\u0000untagged"; // no tag has this name

/** {node, refresh(), clear(), untagged(), chosen()}; `onchoose(tags, expression)` hears the chosen tags and the filter that finds them. */
export function tagList(onchoose) {
    const search = make("input", {type: "search", class: "lt-verbatim", placeholder: say("tags.search"), "aria-label": say("tags.search"), autocomplete: "off", spellcheck: "false"});
    const box = listbox(say("tags.all"), {multiple: true, onselect: choose});
    const more = make("p", {class: "lt-help", hidden: true});
    const node = make("section", {class: "lt-stack lt-tight lt-tag-list", "aria-label": say("tags.all")}, make("h2", {class: "lt-sub"}, say("tags.all")), search, box.node, more, make("p", {class: "lt-help"}, say("tags.list_help")));
    let asked = 0;

    async function load() {
        const project = state.project, mine = ++asked;
        if (!project || node.closest(".lt-step")?.hidden) return;
        const told = await get(`projects/${project.id}/tags`, {search: search.value.trim(), limit: MOST});
        if (mine !== asked) return;
        const keep = box.selected(), top = box.node.scrollTop;
        const untagged = search.value.trim() ? [] : [{key: UNTAGGED, label: say("tags.untagged"), note: told.untagged}];
        box.fill([...untagged, ...told.tags.map(({tag, count}) => ({key: tag, label: tag, note: count, verbatim: true}))]);
        box.select(keep);
        box.node.scrollTop = top;
        write(more, told.tags.length >= MOST ? say("tags.list_more", {count: MOST}) : "");
    }

    function choose(keys) {
        const none = keys.includes(UNTAGGED), tags = keys.filter((key) => key !== UNTAGGED);
        if (none) box.select([UNTAGGED]);
        return onchoose(none ? [] : tags, none ? "not *" : tags.map(exactly).join(" and "));
    }

    const refresh = later(() => load().catch(console.error), SETTLE_MS);
    search.addEventListener("input", refresh);
    for (const name of ["captions", "images"]) on(name, refresh);
    return {node, refresh, clear: () => box.select([]), untagged: () => choose([UNTAGGED]), chosen: () => box.selected().filter((key) => key !== UNTAGGED)};
}

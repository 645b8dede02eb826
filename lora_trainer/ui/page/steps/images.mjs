/* The step Images: bring them in, say what they are, mend what is wrong, and start. */

import {post} from "../api.mjs";
import {emit, on} from "../bus.mjs";
import {make, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, obey} from "../parts/button.mjs";
import {select as selectBox} from "../parts/choices.mjs";
import {fold} from "../parts/fold.mjs";
import {notice, tellProblem} from "../parts/notice.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";
import {about} from "./images_about.mjs";
import {dropping} from "./images_drop.mjs";
import {enlarging} from "./images_enlarge.mjs";
import {findings} from "./images_findings.mjs";
import {grid} from "./images_grid.mjs";
import {guide} from "./images_guide.mjs";
import {repeats} from "./images_repeats.mjs";
import {starting} from "./images_start.mjs";
import {select, selected} from "./selection.mjs";

const page = {stale: false, refresh: () => {}, plan: () => {}};
const count = () => (state.project ? state.project.count : 0);

function mount(node) {
    const parts = {about: about(), start: starting({look: true}), repeats: repeats(), introduction: introduction()};
    parts.drop = dropping(imported);
    parts.findings = findings((key, what) => showOnly(parts, `finding:${key}`, what));
    parts.grid = grid({onshown: (found) => tell(parts, found), onremove: () => obey(parts.grid.node, setAside)});
    parts.bar = toolbar(parts);
    parts.balance = make("p", {class: "lt-balance lt-label"});
    const help = make("p", {}, button(say("images.guide"), () => { guide(); }, {class: "lt-link", kind: "quiet"}));
    parts.work = make("div", {class: "lt-stack"}, parts.findings.node, parts.bar.node, parts.grid.node,
        fold(say("images.enlarge"), enlarging, {hint: say("images.enlarge_hint")}),
        fold(say("images.repeats"), () => [parts.repeats.node, parts.balance], {hint: say("images.repeats_hint")}));
    parts.top = make("div", {class: "lt-columns"}, make("div", {class: "lt-stack"}, parts.drop.node, parts.introduction, help), parts.about.node);
    parts.problem = make("div", {hidden: true});
    node.append(make("div", {class: "lt-stack lt-images"}, parts.problem, parts.top, parts.start.node, parts.work));

    async function imported() {
        announce(say("images.imported", {count: count()}));
        parts.about.trigger.input.focus({preventScroll: true});
        await parts.findings.check();
    }

    let shown = "";
    on("project", (project) => {
        if ((project ? project.id : "") !== shown) {
            shown = project ? project.id : "";
            showOnly(parts, "all", "");
            refreshAll(parts);
        }
        show(parts, project);
    });
    Object.assign(page, {refresh: () => refreshAll(parts), plan: parts.start.refresh});
    for (const name of ["images", "captions"]) on(name, () => {
        if (node.hidden) page.stale = true; // read again when it is looked at
        else refreshAll(parts);
    });
    show(parts, state.project);
    shown = state.project ? state.project.id : "";
    refreshAll(parts);
}

function refreshAll(parts) {
    if (!count()) return;
    parts.grid.refresh();
    parts.findings.refresh().catch((error) => tellProblem(parts.findings.node, error));
    parts.start.refresh();
}

/** An empty project shows the drop zone and three sentences, nothing else. */
function show(parts, project) {
    const full = count() > 0;
    parts.work.hidden = parts.about.node.hidden = parts.start.node.hidden = !full;
    parts.drop.full(full);
    parts.introduction.hidden = full;
    parts.top.classList.toggle("lt-first", !full);
    const wrong = project && project.problem ? project.problem.message : "", told = wrong || (project && project.note) || "";
    if (parts.problem.textContent !== told) parts.problem.replaceChildren(...(told ? [notice(wrong ? "problem" : "note", told)] : []));
    parts.problem.hidden = !told;
    if (!project) return;
    parts.about.show(project);
    parts.repeats.show(project);
    write(parts.balance, project.sentence || "");
}

function introduction() {
    return make("ol", {class: "lt-numbered lt-introduction"}, ...["images", "words", "start"].map((part) => make("li", {}, say(`images.intro_${part}`))));
}

// ------------------------------------------------------------------ what stands above the tiles

function toolbar(parts) {
    const total = make("h2", {class: "lt-sub lt-total"}), only = make("span", {class: "lt-only"});
    const kind = selectBox(["all", "untagged", "originals", "derived"].map((one) => [one, say(`images.kind_${one}`)]), {"aria-label": say("images.kind"), onchange: (value) => showOnly(parts, value, "")});
    const sort = selectBox(["name", "tags", "size"].map((one) => [one, say(`images.sort_${one}`)]), {"aria-label": say("images.sort"), onchange: (value) => parts.grid.view({sort: value})});
    const back = button(say("images.show_all"), () => showOnly(parts, "all", ""), {small: true});
    const chosen = make("span", {class: "lt-chosen"});
    const some = make("div", {class: "lt-row", hidden: true}, chosen,
        button(say("images.set_aside"), () => setAside(), {small: true, title: say("images.set_aside_help")}), button(say("images.choose_none"), () => select([]), {small: true, kind: "quiet"}));
    const filter = make("div", {class: "lt-row lt-only-row", hidden: true}, only, back);
    on("selection", (ids) => {
        some.hidden = !ids.length;
        write(chosen, ids.length ? say("images.chosen", {count: ids.length}) : "");
    });
    const page = button(say("images.choose_page"), () => select(parts.grid.pageIds()), {small: true, kind: "quiet"});
    const node = make("div", {class: "lt-stack lt-tight"}, make("div", {class: "lt-row lt-spread"}, make("div", {class: "lt-row"}, total, page), make("div", {class: "lt-row"}, kind, sort)),
        make("p", {class: "lt-help"}, say("images.keys")), filter, some);
    return {node, total, only, filter, kind, some};
}

function showOnly(parts, kind, what) {
    parts.bar.only.replaceChildren(what ? say("images.only", {what}) : "");
    parts.bar.filter.hidden = !what;
    parts.bar.kind.value = what ? "all" : kind;
    select([]);
    if (!count()) return undefined;
    return parts.grid.view({kind}).catch((error) => tellProblem(parts.bar.filter, error));
}

function tell(parts, {total, shown}) {
    write(parts.bar.total, shown === total ? say(total === 1 ? "images.total_one" : "images.total", {count: total}) : say("images.total_shown", {count: total, shown}));
}

/** Take the chosen images out of the set; undo brings them back. */
async function setAside() {
    const ids = selected();
    if (!ids.length) return;
    const told = await post(`projects/${state.project.id}/remove`, {images: ids});
    select([]);
    const text = (told && told.text) || say("images.removed", {count: ids.length});
    announce(text);
    emit("saved", text);
    await reload();
    emit("images");
}

export default {
    key: "images",
    title: () => say("shell.step_images"),
    summary: () => (count() ? say(count() === 1 ? "images.summary_one" : "images.summary", {count: count()}) : ""),
    status: () => (count() ? "done" : ""),
    mount,
    shown() {
        if (page.stale) page.refresh();
        page.stale = false;
        page.plan(); // other steps change what it would take
    },
};

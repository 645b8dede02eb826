/* The step Tags: let a tagger write the captions, then mend them, one by one or many at once. */

import {on} from "../bus.mjs";
import {make, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {fold} from "../parts/fold.mjs";
import {notice} from "../parts/notice.mjs";
import {state} from "../state.mjs";
import {say} from "../texts.mjs";
import {starting} from "./images_start.mjs";
import {tagging} from "./tags_auto.mjs";
import {binding} from "./tags_bind.mjs";
import {editing} from "./tags_edit.mjs";
import {filtering} from "./tags_filter.mjs";
import {tagList} from "./tags_list.mjs";
import {rows} from "./tags_rows.mjs";

const count = () => (state.project ? state.project.count : 0);
const page = {rows: null, all: () => {}};

function mount(node) {
    const total = make("h2", {class: "lt-sub lt-total"}), none = notice("note", say("tags.no_images"));
    const list = rows(tell), before = async () => list.flush();
    const filter = filtering(narrow), auto = tagging(before), edit = editing(before), begin = starting();
    const tags = tagList((chosen, expression) => {
        edit.useTags(chosen);
        return filter.set(expression);
    });
    const work = make("div", {class: "lt-stack"}, auto.node, make("div", {class: "lt-tag-columns"}, tags.node,
        make("div", {class: "lt-stack"}, make("div", {class: "lt-stack lt-tight"}, filter.node, total, make("p", {class: "lt-help"}, say("tags.keys"))), edit.node, list.node)),
        fold(say("tags.bind"), () => binding(before), {hint: say("tags.bind_hint"), remember: "bind"}), begin.node);
    node.append(none, work);
    document.getElementById("lora_trainer").addEventListener("keydown", (event) => {
        if (node.hidden || work.hidden || event.key.toLowerCase() !== "j" || !(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest("dialog")) return;
        event.preventDefault();
        toUntagged().catch(console.error);
    });

    /** The caret goes to an empty caption of those in sight, else to the first of the whole set. */
    async function toUntagged() {
        if (list.untagged()) return;
        list.flush();
        await tags.untagged();
        if (!list.untagged()) announce(say("tags.all_tagged"));
    }

    async function narrow(text) {
        try {
            filter.error("");
            await list.filter(text);
        } catch (error) {
            filter.error(error.message);
        }
    }

    function tell({total: all, shown}) {
        write(total, filter.get() ? say("tags.shown", {total: all, shown}) : say("tags.total", {total: all}));
        edit.shown(shown, filter.get());
    }

    function all() {
        none.hidden = count() > 0;
        work.hidden = !count();
        if (!count()) return;
        auto.refresh();
        tags.refresh();
        list.refresh();
        begin.refresh();
    }

    let shown = state.project ? state.project.id : "";
    on("project", (project) => {
        const id = project ? project.id : "";
        if (id !== shown) {
            tags.clear();
            filter.set("");
        }
        if (id !== shown || none.hidden !== count() > 0) all();
        shown = id;
    });
    Object.assign(page, {rows: list, all});
}

export default {
    key: "tags",
    title: () => say("shell.step_tags"),
    summary: () => (count() ? say("tags.summary", {tagged: state.project.tagged, count: count()}) : ""),
    status: () => (count() ? (state.project.tagged >= count() ? "done" : "attention") : ""),
    mount,
    shown: () => page.all(),
    hidden: () => page.rows && page.rows.flush(),
};

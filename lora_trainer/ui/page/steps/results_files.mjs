/* The LoRA files of a run: the line for each, keeping only some of them, and getting the others back. */

import {ApiError, picture, post} from "../api.mjs";
import {copyLine} from "../copying.mjs";
import {make, replace} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {confirm} from "../parts/dialog.mjs";
import {fold} from "../parts/fold.mjs";
import {notice} from "../parts/notice.mjs";
import {bytes, say} from "../texts.mjs";

const path = (run, what) => `runs/${encodeURIComponent(run.id)}/${what}`;

/** {node, show(run, grid)}; `changed()` hears that files went or came back. */
export function filesFold(changed) {
    const p = {body: make("div", {class: "lt-stack"}), told: make("div", {}), run: null, grid: null, key: ""};
    const node = fold(say("results.files"), () => [p.body], {remember: "files"});
    return {node, show(run, grid) {
        Object.assign(p, {run, grid});
        const key = JSON.stringify([run.id, run.state, run.files, run.trashed, grid && grid.choice]);
        if (key === p.key) return;
        p.key = key;
        fill(p, changed);
    }};
}

function fill(p, changed) {
    const files = p.run.files || [], choice = p.grid && p.grid.choice;
    const boxes = new Map(files.map((file) => [file.epoch, make("input", {type: "checkbox", checked: Boolean(choice && choice.epoch === file.epoch), "aria-label": say("results.keep_epoch", file)})]));
    const chosen = () => files.filter((file) => boxes.get(file.epoch).checked);
    const after = async (answer) => {
        replace(p.told, answer.text ? notice("done", answer.text) : null);
        if (answer.text) announce(answer.text);
        await changed();
    };
    const keep = button(say("results.keep"), () => keepOnly(p, chosen(), after), {disabled: files.length < 2});
    const restore = button(say("results.restore"), async () => after(await post(path(p.run, "restore"))), {kind: "quiet", hidden: !p.run.trashed});
    replace(p.body, make("p", {class: "lt-muted"}, say("results.files_how")),
        make("ul", {class: "lt-files"}, ...files.map((file) => fileRow(file, boxes.get(file.epoch), choice))), row(keep, restore), p.told);
}

function fileRow(file, box, choice) {
    const picked = choice && choice.epoch === file.epoch;
    return make("li", {class: picked ? "lt-best" : ""}, make("label", {class: "lt-check"}, box, make("span", {}, say("results.epoch", file)), picked ? make("span", {class: "lt-muted"}, say("results.suggested")) : null),
        make("span", {class: "lt-muted"}, file.size ? bytes(file.size) : ""), copyLine(say("results.prompt_line_epoch", file), file.call).node);
}

async function keepOnly(p, kept, after) {
    const going = p.run.files.filter((file) => !kept.includes(file)), size = going.reduce((sum, file) => sum + (file.size || 0), 0);
    if (!kept.length || !going.length) throw new ApiError({key: "keep", message: say(kept.length ? "results.keep_all" : "results.keep_none")}, 422);
    const values = {count: going.length, kept: kept.map((file) => file.epoch).join(say("train.comma")), size: size ? bytes(size) : ""};
    if (!await confirm(say("results.keep_title"), say(size ? "results.keep_text" : "results.keep_text_plain", values), {yes: say("results.keep_yes", values)})) return;
    await after(await post(path(p.run, "keep"), {epochs: kept.map((file) => file.epoch)}));
}

/** Links to what can be kept outside: the report and the grid's picture. */
export function documents(run) {
    const link = (key, address, more) => make("a", {href: picture(address), target: "_blank", rel: "noopener", ...more}, say(key));
    const found = [run.report && link("results.report", run.report), run.sheet && link("results.sheet", run.sheet)].filter(Boolean);
    return found.length ? make("p", {class: "lt-row lt-documents"}, ...found) : null;
}

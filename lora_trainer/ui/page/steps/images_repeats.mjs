/* How often each folder is seen in one epoch. */

import {post} from "../api.mjs";
import {make, replace, uid, verbatim} from "../dom.mjs";
import {obey} from "../parts/button.mjs";
import {reload, state} from "../state.mjs";
import {say} from "../texts.mjs";

const MOST = 1000; // as in kohya's folder names, which the server takes

/** {node, show(project)}: a table of folders with their repeats. */
export function repeats() {
    const rows = make("tbody");
    const node = make("div", {class: "lt-stack lt-tight"}, make("p", {class: "lt-help"}, say("images.repeats_help")),
        make("div", {class: "lt-scroll"}, make("table", {class: "lt-table"}, make("thead", {}, make("tr", {}, ...["folder", "count", "repeats"].map((part) =>
            make("th", {scope: "col"}, say(`images.column_${part}`))))), rows)));

    const show = (project) => replace(rows, ...(project.folders || []).map((folder) => {
        const label = uid();
        const input = make("input", {type: "number", min: 1, max: MOST, step: 1, value: folder.repeats || 1, class: "lt-number", "aria-labelledby": label, "data-focus": `repeats ${folder.path}`});
        input.addEventListener("change", () => obey(input, () => save(folder, input)));
        return make("tr", {}, make("th", {scope: "row", id: label}, folder.path ? verbatim(folder.path) : say("images.main_folder")), make("td", {}, String(folder.images)), make("td", {}, input));
    }));

    return {node, show};
}

async function save(folder, input) {
    const count = Math.round(Number(input.value));
    if (!(count >= 1 && count <= MOST)) {
        input.value = folder.repeats || 1;
        return;
    }
    await post(`projects/${state.project.id}/repeats`, {folder: folder.path, repeats: count});
    await reload();
}

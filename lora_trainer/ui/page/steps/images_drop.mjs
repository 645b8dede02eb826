/* Where images come in: dropped, chosen, or from a path on the server's disk. */

import {emit} from "../bus.mjs";
import {make, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, obey, row} from "../parts/button.mjs";
import {check, labelled} from "../parts/choices.mjs";
import {progress} from "../parts/progress.mjs";
import {needProject, reload, state} from "../state.mjs";
import {order} from "../tasks.mjs";
import {bytes, say} from "../texts.mjs";
import {collected, picked, sifted, suggestedName, upload} from "./images_upload.mjs";

/** {node}: the zone and the path box; `imported()` is called when new images are in. */
export function dropping(imported) {
    const going = {abort: null};
    const bar = progress(say("images.uploading"));
    const told = make("p", {class: "lt-muted", hidden: true});
    const stop = button(say("common.cancel"), () => going.abort && going.abort.abort(), {small: true});
    const uploading = make("div", {class: "lt-row lt-uploading", hidden: true}, bar.node, stop);
    const inputs = [chooser({multiple: true, accept: ".png,.jpg,.jpeg,.webp,.bmp,.avif,.txt,.caption,.zip"}), chooser({multiple: true, webkitdirectory: true})];
    const buttons = row(button(say("images.choose_files"), () => inputs[0].click(), {kind: "primary"}), button(say("images.choose_folder"), () => inputs[1].click()));
    const title = make("p", {class: "lt-drop-title"}, say("images.drop"));
    const zone = make("div", {class: "lt-drop", "data-problems": "", role: "group", "aria-label": say("images.drop")},
        title, make("p", {class: "lt-muted"}, say("images.drop_kinds")), buttons, ...inputs, uploading, told);
    inputs.forEach((input) => input.addEventListener("change", () => {
        const found = picked(input.files);
        input.value = "";
        obey(zone, () => take(found));
    }));
    catchDrops(zone, (transfer) => obey(zone, async () => take(await collected(transfer))));

    async function take(found) {
        const set = sifted(found);
        write(told, set.skipped ? say("images.skipped", {count: set.skipped}) : "");
        if (!set.images) {
            write(told, say("images.none_usable"));
            announce(told.textContent);
            return;
        }
        const {id} = await needProject(suggestedName(set) ? {name: suggestedName(set)} : {});
        going.abort = new AbortController();
        uploading.hidden = false;
        buttons.hidden = true;
        try {
            announce(say("images.upload_begins", {count: set.usable.length}));
            const batch = await upload(id, set, ({files, of, bytes: sent, total}) =>
                bar.show({done: sent, total, text: say("images.uploaded", {files, of, sent: bytes(sent), total: bytes(total)})}), going.abort.signal);
            await bringIn({upload: batch});
        } catch (error) {
            if (error.key !== "aborted") throw error;
            write(told, say("images.upload_stopped"));
            announce(told.textContent);
        } finally {
            uploading.hidden = true;
            buttons.hidden = false;
        }
    }

    async function bringIn(body) {
        uploading.hidden = true;
        await order(`projects/${state.project.id}/import`, body);
        await reload();
        emit("images");
        await imported();
    }

    const path = make("details", {class: "lt-inline-help lt-path-fold", open: true}, make("summary", {}, say("images.path")), pathBox(bringIn));

    /** With images in the set the zone steps back: there is one main button on the page, and it is not this one. */
    function full(is) {
        if (zone.dataset.full === String(is)) return;
        zone.dataset.full = String(is);
        title.textContent = say(is ? "images.drop_more" : "images.drop");
        buttons.firstChild.classList.toggle("lt-btn-primary", !is);
        buttons.querySelectorAll(".lt-btn").forEach((one) => one.classList.toggle("lt-btn-small", is));
        path.open = !is;
    }

    return {node: make("div", {class: "lt-stack lt-tight"}, zone, path), full};
}

function chooser(attributes) {
    return make("input", {type: "file", ...attributes, class: "lt-away", tabindex: -1, "aria-hidden": "true"});
}

/** The whole step takes drops, so that a near miss does not make the browser leave the page. */
function catchDrops(zone, take) {
    const carries = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
    const root = document.getElementById("lora_trainer");
    let depth = 0;
    const light = (by) => {
        depth = Math.max(0, depth + by);
        zone.classList.toggle("lt-over", depth > 0);
    };
    const listen = (name, act) => root.addEventListener(name, (event) => {
        if (!carries(event) || !zone.isConnected || !zone.getClientRects().length) return;
        event.preventDefault();
        event.stopPropagation();
        act(event);
    });
    listen("dragenter", () => light(1));
    listen("dragleave", () => light(-1));
    listen("dragover", (event) => { event.dataTransfer.dropEffect = "copy"; });
    listen("drop", (event) => {
        depth = 0;
        light(0);
        take(event.dataTransfer);
    });
}

function pathBox(bringIn) {
    const path = make("input", {type: "text", class: "lt-path lt-verbatim", placeholder: say("images.path_example"), autocomplete: "off", spellcheck: "false"});
    const box = labelled(say("images.path"), path);
    const place = check(say("images.in_place"));
    const help = make("p", {class: "lt-help"}, say("images.in_place_help"));
    const form = make("form", {class: "lt-stack lt-tight", "data-problems": "", onsubmit: (event) => {
        event.preventDefault();
        obey(form, add);
    }}, make("div", {class: "lt-beside"}, box.node, make("button", {type: "submit", class: "lt-btn"}, say("images.add_path"))), place.node, help);
    path.addEventListener("input", () => box.error(""));
    help.hidden = true;
    place.input.addEventListener("change", () => { help.hidden = !place.input.checked; });

    async function add() {
        const wanted = path.value.trim().replace(/^"(.*)"$/, "$1");
        if (!wanted) {
            box.error(say("images.path_empty"));
            path.focus();
            return;
        }
        try {
            const name = wanted.replace(/[\\/]+$/, "").split(/[\\/]/).pop().replace(/\.zip$/i, "").replace(/^\d+_/, "").slice(0, 60);
            await needProject(name ? {name} : {});
            await bringIn({path: wanted, in_place: place.input.checked});
            path.value = "";
        } catch (error) {
            if (error.name !== "ApiError" || error.task) throw error;
            box.error(error.message);
            path.focus();
        }
    }

    return form;
}

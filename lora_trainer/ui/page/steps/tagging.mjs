/* Which tagger, and whether it may be fetched. Nothing is downloaded before somebody has said so. */

import {get} from "../api.mjs";
import {emit} from "../bus.mjs";
import {make, verbatim} from "../dom.mjs";
import {button} from "../parts/button.mjs";
import {dialog} from "../parts/dialog.mjs";
import {reload, state} from "../state.mjs";
import {order} from "../tasks.mjs";
import {bytes, say} from "../texts.mjs";

/** All taggers, and the options used last: {taggers, options}. */
export async function known() {
    const [taggers, options] = await Promise.all([get("taggers"), get(`projects/${state.project.id}/tagging`)]);
    return {taggers, options: options || {}};
}

/** The one to offer: the last used if it is there, else the first that needs no download, else the first. */
export const offered = ({taggers, options}) => taggers.find((one) => one.name === options.tagger && one.present) || taggers.find((one) => one.present) || taggers[0];

/** Ask before a download: "download", "skip" (where there is such an answer) or null. */
export function consent(tagger, {skip = false} = {}) {
    const words = [make("p", {}, say("tags.download_text", {size: bytes(tagger.size)})), make("p", {}, verbatim(tagger.title), make("span", {class: "lt-muted"}, ` · ${bytes(tagger.size)}`)),
        tagger.text ? make("p", {class: "lt-muted"}, make("span", {}, tagger.text)) : null, make("p", {class: "lt-muted"}, say("tags.download_once"))];
    return dialog(say("tags.download_title"), words, (close) => [
        button(say("tags.download_yes"), () => close("download"), {kind: "primary"}),
        skip ? button(say("tags.download_skip"), () => close("skip")) : null, button(say("common.cancel"), () => close())].filter(Boolean));
}

/** Tag with these options, asking first where the tagger has to be fetched. False when the user said no or stopped it. */
export async function tag(options, tagger) {
    const download = tagger && !tagger.present;
    if (download && (await consent(tagger)) !== "download") return false;
    const task = await order(`projects/${state.project.id}/tag`, {...options, download});
    await reload();
    emit("captions");
    return task.state === "done";
}

/** Tag the images that have no caption yet, with the offered tagger. True when training may go on. */
export async function tagMissing() {
    const found = await known(), tagger = offered(found);
    if (!tagger) return true;
    const answer = tagger.present ? "download" : await consent(tagger, {skip: true});
    if (answer === null) return false;
    if (answer === "skip") return true;
    const task = await order(`projects/${state.project.id}/tag`, {...found.options, tagger: tagger.name, mode: "missing", download: !tagger.present});
    emit("captions");
    return task.state === "done";
}

/** The previews: a row for every prompt, a column for every epoch, the same seeds; a click enlarges. */
import {picture} from "../api.mjs";
import {make, replace, write} from "../dom.mjs";
import {say} from "../texts.mjs";
import {openViewer} from "../viewer.mjs";

/** {node, show(run)}. */
export function previewStrip() {
    const strip = make("table", {class: "lt-strip"}), size = make("p", {class: "lt-muted"});
    const node = make("section", {hidden: true}, make("h3", {}, say("train.previews")), size,
        make("div", {class: "lt-sideways", tabindex: 0, role: "region", "aria-label": say("train.previews")}, strip));
    let shown = "";
    return {node, show(run) {
        const previews = run.previews || [], state = `${run.id} ${previews.length}`;
        node.hidden = !previews.length;
        if (shown === state || !previews.length) return;
        write(size, say("train.previews_how"));
        const known = shown.split(" ")[0] === run.id ? strip : null;
        shown = state;
        rows(strip, previews, known);
    }};
}

/** Columns are moments: the untrained model, epochs, and steps between them where previews were asked for. */
const moment = (preview) => preview.step ? `${preview.epoch}.${preview.step}` : String(preview.epoch);

export function momentName(preview) {
    if (preview.step) return say("train.at_step", {step: preview.step});
    return preview.epoch ? say("train.at_epoch", {epoch: preview.epoch}) : say("train.untrained");
}

function rows(strip, previews, known) {
    const moments = [...new Map(previews.map((preview) => [moment(preview), preview])).values()]
        .sort((a, b) => (a.step || a.epoch * 1e9) - (b.step || b.epoch * 1e9) || a.epoch - b.epoch);
    const indices = [...new Set(previews.map((preview) => preview.index))].sort((a, b) => a - b);
    const at = new Map(previews.map((preview) => [`${moment(preview)} ${preview.index}`, preview]));
    const cells = moments.map((one) => indices.map((index) => at.get(`${moment(one)} ${index}`)));
    const old = new Map([...(known ? known.querySelectorAll("button") : [])].map((button) => [button.dataset.url, button]));
    const button = (row, column) => cells[row][column] ? shot(cells, row, column, old) : null;
    const focused = document.activeElement;
    replace(strip, make("thead", {}, make("tr", {}, ...moments.map((one) => make("th", {scope: "col"}, momentName(one))))),
        make("tbody", {}, ...indices.flatMap((index, column) => [
            make("tr", {}, make("th", {scope: "rowgroup", colspan: moments.length, class: "lt-prompt"},
                make("span", {class: "lt-verbatim"}, cells.map((row) => row[column]).find(Boolean).prompt))),
            make("tr", {}, ...moments.map((_, row) => make("td", {}, button(row, column))))])));
    if (strip.contains(focused)) focused.focus({preventScroll: true});
}

/** A button with the picture; one that is there already stays, so that nothing flickers. */
function shot(cells, row, column, old) {
    const preview = cells[row][column];
    const button = old.get(preview.url) || make("button", {type: "button", class: "lt-shot", "data-url": preview.url},
        make("img", {src: picture(preview.url), alt: say("train.preview_alt", {moment: momentName(preview), prompt: preview.prompt}),
            loading: "lazy", width: 112, height: 112}));
    button.onclick = () => openViewer(cells.map((line) => line.map((one) => one && {
        url: one.url, alt: say("train.preview_alt", {moment: momentName(one), prompt: one.prompt}), title: momentName(one), text: one.prompt})),
    {row, column, name: say("train.previews"), names: {
        left: say("train.prompt_before"), right: say("train.prompt_after"), up: say("train.epoch_before"), down: say("train.epoch_after")}});
    return button;
}

/* The one button: what is not yet done (check, tag) is done, then it trains. It stops only where someone has to decide. */

import {get, post} from "../api.mjs";
import {on} from "../bus.mjs";
import {later, make, write} from "../dom.mjs";
import {announce} from "../live.mjs";
import {button, row} from "../parts/button.mjs";
import {check} from "../parts/choices.mjs";
import {confirm} from "../parts/dialog.mjs";
import {news} from "../parts/notice.mjs";
import {reload, showStep, state} from "../state.mjs";
import {order} from "../tasks.mjs";
import {say} from "../texts.mjs";
import {tagMissing} from "./tagging.mjs";

const AGAIN_MS = 500;

/** {node, refresh()}: numbers before the commitment, and the button. With `look` it offers to stop at the tags. */
export function starting({look = false} = {}) {
    const sentence = make("p", {class: "lt-promise"}), facts = make("p", {class: "lt-muted"}), preset = make("p", {class: "lt-muted"});
    const problems = make("ul", {class: "lt-field-error lt-notes", hidden: true});
    const first = check(say("images.tags_first"));
    const begin = button(say("images.start"), () => go(look && first.input.checked), {kind: "primary", class: "lt-btn-big"});
    const node = make("section", {class: "lt-card lt-start", "aria-label": say("images.start"), "data-problems": ""},
        make("div", {class: "lt-stack lt-tight"}, preset, sentence, facts, problems), row(begin, look ? first.node : null));

    async function ask() {
        if (!state.project || !state.project.count) return;
        node.hidden = false;
        let plan = {};
        try {
            plan = await get(`projects/${state.project.id}/plan`);
        } catch (error) {
            plan = {sentence: state.project.sentence, problems: error.status === 422 ? [error] : []};
        }
        show(plan);
    }

    function show({sentence: told = "", texts = {}, problems: wrong = [], preset: chosen}) {
        write(preset, chosen && chosen.title ? say("images.preset", {title: chosen.title}) : "");
        write(sentence, told);
        write(facts, [texts.time, texts.memory, texts.disk].filter(Boolean).join(" · "));
        problems.replaceChildren(...wrong.map(({message}) => make("li", {}, make("span", {}, message))));
        problems.hidden = !wrong.length;
    }

    const refresh = later(() => node.isConnected && node.getClientRects().length && ask(), AGAIN_MS);
    for (const name of ["project", "images", "captions"]) on(name, refresh);
    return {node, refresh};
}

/** Check, tag what is untagged, then train, or stop at the tags. */
async function go(onlyTags) {
    const id = state.project.id;
    document.activeElement?.blur?.();
    if (!(await passable(id))) return;
    const project = await reload();
    if (project.tagged < project.count && !(await tagMissing())) return;
    await reload();
    if (onlyTags) showStep("tags");
    else await train(id);
}

/** No findings that the training would refuse; otherwise they are shown. */
async function passable(id) {
    let told = await get(`projects/${id}/findings`);
    if (!told.checked || told.stale) {
        await order(`projects/${id}/check`);
        told = await get(`projects/${id}/findings`);
    }
    const errors = told.findings.filter((one) => one.severity === "error");
    if (!errors.length) return true;
    news("problem", say("images.errors_first", {count: errors.length}));
    announce(say("images.errors_first", {count: errors.length}));
    showStep("images");
    return false;
}

async function train(id) {
    try {
        await post(`projects/${id}/start`, {queue: false});
    } catch (error) {
        if (error.status !== 409) throw error;
        if (!(await confirm(say("images.busy_title"), [error.message, say("images.busy_text")], {yes: say("images.busy_queue")}))) return;
        await post(`projects/${id}/start`, {queue: true});
    }
    await reload();
    showStep("train");
}

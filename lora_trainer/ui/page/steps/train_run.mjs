/* The run that goes on, or the last one: how far it is, what can be done with it, its previews and its chart. */

import {post} from "../api.mjs";
import {lossChart} from "../chart.mjs";
import {make, replace, uid, write} from "../dom.mjs";
import {button, row} from "../parts/button.mjs";
import {isGoing} from "../run_watch.mjs";
import {say} from "../texts.mjs";
import {inWebui} from "../webui.mjs";
import {alarmNotice, endNotice} from "./train_notices.mjs";
import {previewStrip} from "./train_previews.mjs";

const FACTS = ["position", "eta", "speed", "memory", "loss"];

/** {node, show(run)}. `on.ordered()` hears that an order was given, `on.results()` and `on.again()` want another view. */
export function runView(on) {
    const p = {name: make("span", {class: "lt-run-name lt-verbatim"}), headline: make("strong", {id: uid()})};
    p.bar = make("div", {class: "lt-bar"});
    p.progress = make("div", {role: "progressbar", class: "lt-progress", "aria-labelledby": p.headline.id, "aria-valuemin": 0, "aria-valuemax": 100}, p.bar);
    p.facts = Object.fromEntries(FACTS.map((fact) => [fact, make("span", {class: `lt-fact-${fact}`})]));
    p.note = make("p", {class: "lt-note"});
    p.buttons = row();
    p.notices = make("div", {class: "lt-notices"});
    p.orders = orderButtons(on);
    const chart = lossChart(), previews = previewStrip();
    const node = make("section", {class: "lt-run", "aria-label": say("train.run")},
        make("h3", {class: "lt-headline"}, p.headline, p.name), p.progress,
        make("p", {class: "lt-facts"}, ...Object.values(p.facts)), p.note, p.buttons, p.notices,
        make("div", {class: "lt-watch"}, previews.node, chart.node));
    return {node, show(run) {
        const texts = run.texts || {};
        node.dataset.state = run.state;
        write(p.headline, texts.headline || "");
        write(p.name, run.name || "");
        showFacts(p, run, texts);
        showProgress(p, run, texts);
        write(p.note, noteOf(run));
        keepOrReplace(p.buttons, p.orders(run));
        showNotices(p.notices, run);
        chart.show(run);
        previews.show(run);
    }};
}

function showFacts(p, run, texts) {
    const going = isGoing(run), measured = going && typeof run.loss === "number";
    const facts = {position: texts.position, eta: texts.eta, speed: going && texts.speed, memory: going && texts.memory,
        loss: measured && say("train.loss_now", {loss: Number(run.loss.toPrecision(3))})};
    for (const name of FACTS) write(p.facts[name], facts[name] || "");
}

function showProgress(p, run, texts) {
    const counted = run.stage === "training" || run.total > 1, fraction = run.fraction || 0;
    p.progress.hidden = !isGoing(run);
    p.progress.classList.toggle("lt-unknown", !counted && run.state === "running");
    p.bar.style.width = counted ? `${fraction * 100}%` : "";
    if (counted) p.progress.setAttribute("aria-valuenow", Math.floor(fraction * 100));
    else p.progress.removeAttribute("aria-valuenow");
    p.progress.setAttribute("aria-valuetext", texts.progress || texts.headline || "");
}

function noteOf(run) {
    if (run.stopping) return say(`train.stopping_${run.stopping}`);
    if (run.state === "paused") return say("train.paused");
    return run.state === "running" && inWebui() ? say("train.waits") : "";
}

/** Buttons are kept while they are the same ones, so that the focus stays where it is. */
function keepOrReplace(place, buttons) {
    const same = buttons.length === place.children.length && buttons.every((one, at) => place.children[at] === one);
    if (!same) replace(place, ...buttons);
    place.hidden = !buttons.length;
}

function orderButtons(on) {
    let current = null;
    const order = (key, path, body, kind) => button(say(`train.${key}`), async () => {
        await post(`runs/${encodeURIComponent(current.id)}/${path}`, body);
        await on.ordered();
    }, {kind, data: {focus: key}});
    const all = {
        continue: order("continue", "continue", {}, "primary"),
        stop_after_epoch: order("stop_after_epoch", "stop", {when: "after_epoch"}),
        stop_now: order("stop_now", "stop", {when: "now"}, "danger"),
        pause: order("pause", "stop", {when: "pause"}),
        sample: order("sample", "sample", {}),
        results: button(say("train.see_results"), on.results, {kind: "primary"}),
        again: button(say("train.again"), on.again),
    };
    return (run) => {
        current = run;
        const can = new Set(run.can || []), going = isGoing(run), has = Boolean((run.files || []).length);
        const names = going ? ["continue", "stop_after_epoch", "stop_now", "pause", "sample"].filter((name) => can.has(name))
            : [has && "results", can.has("continue") && "continue", "again"].filter(Boolean);
        const second = !going && has;
        all.continue.classList.toggle("lt-btn-primary", !second);
        all.continue.classList.toggle("lt-btn-plain", second);
        all.stop_now.disabled = run.stopping === "now";
        for (const name of ["stop_after_epoch", "pause", "sample"]) all[name].disabled = Boolean(run.stopping);
        return names.map((name) => all[name]);
    };
}

/** Notices change only with what they tell: their folds and their buttons stay as the user left them. */
function showNotices(place, run) {
    const shown = JSON.stringify([run.id, run.state, run.alarm, run.message]);
    if (place.dataset.shown === shown) return;
    place.dataset.shown = shown;
    replace(place, ...[alarmNotice(run), endNotice(run)].filter(Boolean));
}

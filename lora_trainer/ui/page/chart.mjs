/** The loss chart: each step, smoothed, held-out images, training images, and the learning rate; any of them can be switched off. */
import {draw, make, replace, write} from "./dom.mjs";
import {say} from "./texts.mjs";

const LINES = ["raw", "smooth", "held_out", "train", "lr"];
const HEIGHT = 230, KEPT = "lora_trainer.chart", OFF_AT_FIRST = ["lr"];

/** {node, show(run)}: a figure with its switches and its words. */
export function lossChart() {
    const off = kept();
    let run = null;
    const place = make("div", {class: "lt-chart"}), words = make("figcaption");
    const switches = Object.fromEntries(LINES.map((line) => [line, switchFor(line, off, () => redraw())]));
    const node = make("figure", {class: "lt-figure", hidden: true}, make("h3", {}, say("train.loss")),
        make("div", {class: "lt-legend", role: "group", "aria-label": say("train.chart_lines")}, ...Object.values(switches)), place, words);
    new ResizeObserver(() => redraw()).observe(place);

    function redraw() {
        const lines = run && seriesOf(run);
        if (!lines || node.hidden || !place.clientWidth) return;
        const shown = Object.fromEntries(LINES.map((line) => [line, off.has(line) ? [] : lines[line]]));
        replace(place, drawing(run, shown, place.clientWidth));
    }

    return {node, show(now) {
        run = now;
        const lines = seriesOf(run);
        node.hidden = lines.smooth.length + lines.held_out.length < 2;
        for (const line of LINES) switches[line].hidden = !lines[line].length;
        write(words, (run.texts || {}).chart || "");
        redraw();
    }};
}

function seriesOf(run) {
    const series = run.series || {};
    return Object.fromEntries(LINES.map((line) => [line, series[line] || run[line] || []]));
}

function kept() {
    try {
        return new Set(JSON.parse(localStorage.getItem(KEPT)) || OFF_AT_FIRST);
    } catch (error) { // a browser that keeps nothing
        return new Set(OFF_AT_FIRST);
    }
}

function switchFor(line, off, redraw) {
    const button = make("button", {type: "button", class: `lt-key lt-key-${line}`, "aria-pressed": String(!off.has(line)),
        onclick: () => {
            if (!off.delete(line)) off.add(line);
            button.setAttribute("aria-pressed", String(!off.has(line)));
            try {
                localStorage.setItem(KEPT, JSON.stringify([...off]));
            } catch (error) { /* then it is kept until the page closes */ }
            redraw();
        }}, say(line === "lr" ? "train.learning_rate" : `curve.legend_${line}`));
    return button;
}

/** A scale of `values` between `from` and `to` on the screen, with a little room at both ends. */
function scale(values, from, to, floor = true) {
    const least = Math.min(...values), most = Math.max(...values);
    const room = Math.max((most - least) * 0.12, Math.abs(most) * 0.01, 1e-12);
    const low = floor ? Math.max(0, least - room) : least - room, high = most + room;
    const at = (value) => from + (to - from) * (value - low) / (high - low);
    return {at, low, high, levels: [low, (low + high) / 2, high]};
}

function drawing(run, lines, width) {
    const losses = ["smooth", "held_out", "train"].flatMap((line) => lines[line].map((point) => point[1]));
    const values = losses.length ? losses : lines.raw.map((point) => point[1]);
    const top = 8, bottom = HEIGHT - 40, withRate = lines.lr.length > 0;
    const loss = values.length ? scale(values, bottom, top) : null;
    const rate = withRate ? scale([0, ...lines.lr.map((point) => point[1])], bottom, top, false) : null;
    const left = 14 + 7.2 * Math.max(3, ...(loss ? loss.levels.map((value) => brief(value).length) : []));
    const right = width - (withRate ? 18 + 7.2 * Math.max(...rate.levels.slice(1).map((value) => rateText(value).length)) : 12);
    const x = (step) => left + (right - left) * step / Math.max(1, run.steps);
    const frame = {x: left, y: top, width: Math.max(1, right - left), height: bottom - top};
    const inside = draw("svg", {...frame, viewBox: `${frame.x} ${frame.y} ${frame.width} ${frame.height}`});
    const svg = draw("svg", {viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
        "aria-label": (run.texts || {}).chart || say("train.loss")});
    if (loss) svg.append(...levels(loss, left, right));
    svg.append(...epochTicks(run, x, bottom), draw("text", {x: (left + right) / 2, y: HEIGHT - 4, "text-anchor": "middle"}, say("curve.epoch")));
    if (rate) svg.append(...rateLevels(rate, right));
    svg.append(inside);
    if (rate) inside.append(line("lr", lines.lr, x, rate.at));
    if (loss) inside.append(...["raw", "smooth", "train", "held_out"].map((name) => line(name, lines[name], x, loss.at)), ...dots(lines, x, loss.at));
    return svg;
}

const brief = (value) => String(Number(value.toPrecision(3)));
const rateText = (value) => value === 0 ? "0" : value.toExponential(1).replace("e-", "e−").replace(".0e", "e");

const line = (name, points, x, y) => draw("polyline", {class: `lt-line-${name}`,
    points: points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ")});

const dots = (lines, x, y) => [
    ...lines.train.map((point) => draw("rect", {class: "lt-dot-train", x: x(point[0]) - 3, y: y(point[1]) - 3, width: 6, height: 6})),
    ...lines.held_out.map((point) => draw("circle", {class: "lt-dot-held_out", cx: x(point[0]), cy: y(point[1]), r: 3.5}))];

const levels = (loss, left, right) => loss.levels.flatMap((value) => [
    draw("line", {class: "lt-grid-line", x1: left, x2: right, y1: loss.at(value), y2: loss.at(value)}),
    draw("text", {x: left - 6, y: loss.at(value) + 4, "text-anchor": "end"}, brief(value))]);

const rateLevels = (rate, right) => rate.levels.slice(1).map((value) =>
    draw("text", {class: "lt-rate", x: right + 6, y: rate.at(value) + 4}, rateText(value)));

function epochTicks(run, x, bottom) {
    if (!run.epochs) return [];
    const apart = [1, 2, 5, 10, 20, 50, 100, 200].find((count) => run.epochs / count <= 12) || 500;
    const epochs = Array.from({length: run.epochs + 1}, (_, epoch) => epoch).filter((epoch) => epoch % apart === 0);
    return epochs.flatMap((epoch) => {
        const at = x(epoch * run.steps / run.epochs);
        return [draw("line", {class: "lt-axis", x1: at, x2: at, y1: bottom, y2: bottom + 5}),
            draw("text", {x: at, y: bottom + 18, "text-anchor": "middle"}, String(epoch))];
    });
}

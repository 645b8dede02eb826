/** The scores behind the choice, as a table of numbers. */
import {make} from "../dom.mjs";
import {knows, say} from "../texts.mjs";
import {markOf, scoreText} from "./results_grid.mjs";

const FIRST = ["epoch", "weight"];

/** The table, or null without scores. What a score is called comes from the server's texts, or is its own name. */
export function scoreTable(grid, choice) {
    const scores = grid.scores || [];
    const names = [...new Set(scores.flatMap((row) => Object.keys(row)))].filter((name) => !FIRST.includes(name)
        && scores.some((row) => typeof row[name] === "number"));
    if (!names.length) return null;
    const columns = [...FIRST, ...names];
    return make("div", {class: "lt-sideways", tabindex: 0, role: "region", "aria-label": say("results.scores")},
        make("table", {class: "lt-scores"},
            make("caption", {class: "lt-away"}, say("results.scores")),
            make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", {scope: "col"}, title(name))), make("th", {scope: "col"}, say("results.mark")))),
            make("tbody", {}, ...scores.map((row) => scoreRow(row, columns, choice)))));
}

function scoreRow(row, columns, choice) {
    const mark = markOf(row, choice);
    const words = mark ? say(mark === "best" ? "results.suggested" : "results.runner_up") : "";
    return make("tr", {class: mark === "best" ? "lt-best" : ""}, ...columns.map((name, at) => make(at ? "td" : "th", at ? {} : {scope: "row"}, text(row[name]))),
        make("td", {}, words));
}

const title = (name) => (knows(`results.score_${name}`) ? say(`results.score_${name}`) : name);

const text = (value) => value === null || value === undefined ? say("results.none") : typeof value === "number" ? scoreText(value) : String(value);

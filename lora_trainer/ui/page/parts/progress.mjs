/* A bar with words. Without a total it only shows that something goes on. */

import {make, write} from "../dom.mjs";

/** {node, show({done, total, text, label})}: `text` is what screen readers and the line below say. */
export function progress(label) {
    const bar = make("div", {class: "lt-bar"});
    const track = make("div", {class: "lt-progress", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100}, bar);
    const line = make("p", {class: "lt-progress-text"});
    const node = make("div", {class: "lt-progress-box"}, track, line);

    function show({done = 0, total = 0, text = ""}) {
        const percent = total > 0 ? Math.min(100, 100 * done / total) : 0;
        track.classList.toggle("lt-unknown", total <= 0);
        bar.style.setProperty("width", total > 0 ? `${percent}%` : "");
        if (total > 0) track.setAttribute("aria-valuenow", Math.floor(percent));
        else track.removeAttribute("aria-valuenow");
        track.setAttribute("aria-valuetext", text);
        write(line, text);
    }

    return {node, show};
}

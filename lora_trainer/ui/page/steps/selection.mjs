/* Which images are chosen: one choice for both steps of the bench. "selection" is told on the bus. */

import {emit, on} from "../bus.mjs";
import {state} from "../state.mjs";

const chosen = {project: "", ids: new Set()};

/** The chosen ids, in the order they were chosen. */
export const selected = () => [...chosen.ids];

export const isSelected = (id) => chosen.ids.has(id);

/** Choose these and no others. */
export function select(ids) {
    chosen.ids = new Set(ids);
    emit("selection", selected());
}

/** Choose one more, or one less. */
export function toggle(id, on_ = !chosen.ids.has(id)) {
    if (on_) chosen.ids.add(id);
    else chosen.ids.delete(id);
    emit("selection", selected());
}

on("project", (project) => {
    const id = project ? project.id : "";
    if (id !== chosen.project) {
        chosen.project = id;
        select([]);
    }
});

/** The chosen images for an order, or "all" where none is chosen. */
export const imagesOrAll = () => (chosen.ids.size ? selected() : "all");

/** How many an order without a choice would be about. */
export const countOrAll = () => chosen.ids.size || (state.project ? state.project.count : 0);

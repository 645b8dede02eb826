/* Two regions that screen readers listen to. They stand on the page from the start, else nothing put in is heard. */

import {make} from "./dom.mjs";

const regions = {polite: null, alert: null};

/** Make the regions below `root`. */
export function placeRegions(root) {
    regions.polite = make("p", {class: "lt-away", "aria-live": "polite", role: "status", id: "lora_trainer_live"});
    regions.alert = make("p", {class: "lt-away", "aria-live": "assertive", role: "alert", id: "lora_trainer_alert"});
    root.append(regions.polite, regions.alert);
}

function tell(region, text) {
    if (!region || !text) return;
    region.textContent = ""; // the same sentence twice is news twice
    requestAnimationFrame(() => { region.textContent = text; });
}

/** Say something when the listener has time: a stage, an outcome. */
export const announce = (text) => tell(regions.polite, text);

/** Say at once that something went wrong. What is seen is the caller's to show. */
export const alertUser = (text) => tell(regions.alert, text);

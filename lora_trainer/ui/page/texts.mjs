/* Fixed labels in the page's language. Sentences with numbers come from the server, formatted there. */

import {get} from "./api.mjs";

const LANGUAGE = "lora_trainer.language";
const spoken = {language: "en", texts: {}};

/** The language that the page speaks now: "en" or "zh". */
export const language = () => spoken.language;

/** What the user chose: "en", "zh" or "" (the host's language, else the browser's). */
export const chosenLanguage = () => localStorage.getItem(LANGUAGE) || "";

/** The label of `key` (with or without its "ui."), its gaps filled ("{n|file|files}" by the number); the key itself where there is none. */
export function say(key, values = {}) {
    const text = spoken.texts[`ui.${key}`] ?? spoken.texts[key] ?? key;
    const fitting = text.replace(/{(\w+)\|([^|{}]*)\|([^|{}]*)}/g, (gap, name, one, other) => (Number(values[name]) === 1 ? one : other));
    return fitting.replace(/{(\w+)[^}]*}/g, (gap, name) => (name in values ? values[name] : gap));
}

/** Whether there is such a label. */
export const knows = (key) => `ui.${key}` in spoken.texts || key in spoken.texts;

/** Fetch all labels. `lang` is a code, or "" for what the host prescribes, else the browser's. */
export async function load(lang, prescribed = "") {
    const wanted = lang || prescribed || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
    spoken.language = wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
    spoken.texts = await get("texts");
}

/** Keep the user's choice of a language ("" for none). */
export function chooseLanguage(lang) {
    if (lang) localStorage.setItem(LANGUAGE, lang);
    else localStorage.removeItem(LANGUAGE);
}

/** A number of bytes in the units that people know. */
export function bytes(count) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    const step = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log10(count) / 3));
    return `${(count / 1000 ** step).toFixed(step > 2 ? 1 : 0)} ${units[step]}`;
}

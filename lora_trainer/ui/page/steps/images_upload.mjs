/* From files in the browser to files on the server: what was dropped is collected, then sent a few at a time. */

import {ApiError, put} from "../api.mjs";
import {say} from "../texts.mjs";

const PICTURES = /\.(png|jpe?g|webp|bmp|avif)$/i, COMPANIONS = /\.(txt|caption)$/i, ARCHIVES = /\.zip$/i;
const AT_ONCE = 3;

/** All files of a drop with their paths below it: folders are walked through. [{name, file}], in the order of names. */
export async function collected(transfer) {
    const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => (item.webkitGetAsEntry ? item.webkitGetAsEntry() : null));
    const loose = [...transfer.files]; // entries and files die with the event: both are taken before the first wait
    const found = entries.some(Boolean) ? (await Promise.all(entries.filter(Boolean).map((entry) => walked(entry, "")))).flat() : loose.map((file) => ({name: file.name, file}));
    return sorted(found);
}

/** The same of a file chooser. */
export const picked = (files) => sorted([...files].map((file) => ({name: file.webkitRelativePath || file.name, file})));

const sorted = (found) => found.sort((one, other) => (one.name < other.name ? -1 : 1));

async function walked(entry, above) {
    const name = above + entry.name;
    if (entry.isFile) return [{name, file: await new Promise((resolve, reject) => entry.file(resolve, reject))}];
    const reader = entry.createReader(), inside = [];
    for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        inside.push(...some);
    }
    return (await Promise.all(inside.filter((one) => !one.name.startsWith(".")).map((one) => walked(one, `${name}/`)))).flat();
}

/** Those that a set can use: {usable, skipped, images, folder}; `folder` is the one that holds them all, or "". */
export function sifted(found) {
    const usable = found.filter(({name}) => PICTURES.test(name) || COMPANIONS.test(name) || ARCHIVES.test(name));
    const tops = new Set(usable.map(({name}) => (name.includes("/") ? name.split("/")[0] : "")));
    const folder = tops.size === 1 ? [...tops][0] : "";
    return {
        usable, skipped: found.length - usable.length, folder,
        images: usable.filter(({name}) => PICTURES.test(name) || ARCHIVES.test(name)).length,
    };
}

/** A name for the project, from a folder or an archive: "10_miku" is "miku". */
export function suggestedName({usable, folder}) {
    const archive = usable.length === 1 && ARCHIVES.test(usable[0].name) ? usable[0].name.replace(ARCHIVES, "") : "";
    return (folder || archive.split("/").pop()).replace(/^\d+_/, "").trim().slice(0, 60);
}

/** Send all files into a batch of the project; its name. `onprogress({files, of, bytes, total})`; aborting `signal` ends it. */
export async function upload(project, {usable, folder}, onprogress, signal) {
    const batch = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const waiting = [...usable], under = new Map(), total = usable.reduce((sum, {file}) => sum + file.size, 0);
    let sent = 0, done = 0;
    const tell = () => onprogress({files: done, of: usable.length, bytes: sent + [...under.values()].reduce((sum, one) => sum + one, 0), total});

    async function carry() {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
            if (signal.aborted) throw new ApiError({key: "aborted", message: say("common.cancel")}, 0);
            const {name, file} = next;
            await again(() => put(`projects/${project}/uploads/${batch}`, file, (bytes) => {
                under.set(name, Math.min(bytes, file.size));
                tell();
            }, {query: {name: folder && !/^\d+_/.test(folder) ? name.slice(folder.length + 1) : name}, signal}));
            under.delete(name);
            sent += file.size;
            done += 1;
            tell();
        }
    }

    tell();
    await Promise.all(Array.from({length: AT_ONCE}, carry));
    return batch;
}

/** A broken connection is tried once more. */
async function again(fn) {
    try {
        return await fn();
    } catch (error) {
        if (error.key !== "offline") throw error;
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return fn();
    }
}

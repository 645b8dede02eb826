/* The page's only way to the server. Every failure is an ApiError with a sentence that can be shown. */

import {language, say} from "./texts.mjs";

export const BASE = "./lora_trainer/v1/";

/** What the server refused: `key`, the `field` it is about (or null), a `message` to show, and the HTTP `status`. */
export class ApiError extends Error {
    constructor({key, field, message}, status) {
        super(message);
        Object.assign(this, {name: "ApiError", key: key || "", field: field || null, message, status});
    }
}

function address(path, query = {}) {
    const asked = Object.entries({...query, lang: language()}).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return `${BASE}${path}?${new URLSearchParams(asked)}`;
}

async function answer(response) {
    const told = await response.json().catch(() => null);
    if (response.ok) return told;
    throw refusal(told, response.status);
}

function refusal(told, status) {
    const detail = told && (told.message || (typeof told.detail === "string" ? told.detail : ""));
    const known = {401: say("common.logged_out"), 404: say("common.unknown"), 413: say("common.too_much")};
    return new ApiError({...told, message: detail || known[status] || say("common.failed", {status})}, status);
}

async function send(method, path, body, query) {
    let response;
    try {
        response = await fetch(address(path, query), {
            method, cache: "no-store", headers: body === undefined ? {} : {"Content-Type": "application/json"},
            body: body === undefined ? undefined : JSON.stringify(body),
        });
    } catch (error) {
        throw new ApiError({key: "offline", message: say("common.offline")}, 0);
    }
    return answer(response);
}

export const get = (path, query) => send("GET", path, undefined, query);
export const post = (path, body = {}, query = {}) => send("POST", path, body, query);
export const patch = (path, body = {}) => send("PATCH", path, body);
export const remove = (path, body = {}) => send("DELETE", path, body);
export const putJson = (path, body) => send("PUT", path, body);

/** Upload a file. `onprogress(bytes)` hears how much has gone; aborting `signal` ends it with an ApiError "aborted". */
export function put(path, blob, onprogress = () => {}, {query, signal} = {}) {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        const broken = (key) => () => reject(new ApiError({key, message: say("common.offline")}, 0));
        request.open("PUT", address(path, query));
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.responseType = "json";
        request.upload.onprogress = (event) => onprogress(event.loaded);
        request.onload = () => (request.status < 300 ? resolve(request.response) : reject(refusal(request.response, request.status)));
        request.onerror = broken("offline");
        request.onabort = broken("aborted");
        if (signal) signal.addEventListener("abort", () => request.abort(), {once: true});
        request.send(blob);
    });
}

/** The URL of a picture (or a file) of the API, for `src` and `href`; `path` may have its own query. */
export const picture = (path) => BASE + path;

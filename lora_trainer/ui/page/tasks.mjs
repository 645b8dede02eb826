/* Long work on the server: order it, follow it, hear how it ended. The shell shows it whichever step is open. */

import {get, post} from "./api.mjs";
import {emit} from "./bus.mjs";

const EVERY_MS = 400;
const followed = new Map();

/** Order a task; resolves with it when it has finished, or was cancelled. Raises ApiError when it is refused or fails. */
export async function order(path, body = {}) {
    const {task} = await post(path, body);
    return follow(task);
}

/** Follow a task that goes on already (once for all who ask). */
export function follow(id) {
    if (!followed.has(id)) followed.set(id, watch(id).finally(() => followed.delete(id)));
    return followed.get(id);
}

async function watch(id) {
    let failures = 0;
    for (;;) {
        try {
            const task = await get(`tasks/${id}`);
            failures = 0;
            emit("task", task);
            if (task.state === "failed") throw Object.assign(new Error(task.message), {name: "ApiError", key: "task_failed", field: null, task});
            if (task.state !== "running") return task;
        } catch (error) { // the server may be busy or restarting: a few failures are not the end
            failures += 1;
            if (error.key === "task_failed" || error.status === 404 || failures > 20) {
                emit("task", {id, state: "failed", message: error.message, notes: [], result: {}, ...error.task});
                throw error;
            }
        }
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS * Math.min(1 + failures, 10)));
    }
}

/** Ask it to end; what is done so far stays. */
export const cancel = (id) => post(`tasks/${id}/cancel`);

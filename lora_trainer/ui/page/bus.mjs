/* What happened, told to whoever wants to know.
   "project" (switched or reloaded), "images" (the set changed), "captions", "task" (a task's state), "run" (a run's status),
   "step" (the shown step), "language". */

const listeners = new Map();

/** Hear `name`; what comes back stops it. */
export function on(name, fn) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(fn);
    return () => listeners.get(name).delete(fn);
}

/** Tell all who listen; one that fails does not keep the others from hearing. */
export function emit(name, data) {
    for (const fn of [...(listeners.get(name) || [])]) {
        try {
            Promise.resolve(fn(data)).catch((error) => console.error(error));
        } catch (error) {
            console.error(error);
        }
    }
}

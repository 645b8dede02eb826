/* Asking again and again, politely: only while someone can see it, one question at a time. */

/** Call the async `fn` every `every` ms while it answers true, else every `idle` ms. It rests while the window or `node`
    is hidden and ends when `node` has left the page. `.now()` asks at once, `.stop()` ends it. */
export function poll(fn, {every = 1000, idle = 5000, node = null} = {}) {
    let timer = 0, asking = false, again = false, ended = false, seen = false;
    const hidden = () => document.hidden || (node !== null && !node.getClientRects().length);

    async function turn() {
        clearTimeout(timer);
        if (ended || asking) {
            again = asking;
            return;
        }
        seen = seen || node === null || node.isConnected;
        if (seen && node !== null && !node.isConnected) {
            stop();
            return;
        }
        let busy = false;
        if (!hidden()) busy = await ask();
        if (!ended) timer = setTimeout(turn, again ? 0 : busy ? every : idle);
        again = false;
    }

    async function ask() {
        asking = true;
        try {
            return Boolean(await fn());
        } catch (error) {
            if (error.name !== "ApiError") console.error(error);
            return false;
        } finally {
            asking = false;
        }
    }

    function stop() {
        ended = true;
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", turn);
    }

    document.addEventListener("visibilitychange", turn);
    turn();
    return {now: turn, stop};
}

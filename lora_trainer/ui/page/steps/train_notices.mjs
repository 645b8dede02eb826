/* What stands out about a run: the warning of overfitting, and after its end what to do next. */

import {copyButton} from "../copying.mjs";
import {notice} from "../parts/notice.mjs";
import {say} from "../texts.mjs";

const ENDED = {finished: "done", stopped: "note", interrupted: "warning"};
const dismissed = (run) => `lora_trainer.alarm.${run.id}`;

/** The overfitting notice of a run that goes on, until it is put away; null without one. */
export function alarmNotice(run) {
    if (!run.alarm || run.state !== "running" || sessionStorage.getItem(dismissed(run)) === run.alarm.text) return null;
    const box = notice("warning", run.alarm.text, {onclose: () => {
        sessionStorage.setItem(dismissed(run), run.alarm.text);
        box.remove();
    }});
    return box;
}

/** How the run ended and what can be done now; null while it goes on. */
export function endNotice(run) {
    const {state} = run, kept = (run.files || []).length > 0;
    if (state === "failed") {
        const text = `${run.message || ""}\n\n${run.detail || ""}`.trim();
        return notice("problem", run.message || say("train.failed"), {detail: run.detail, actions: run.detail ? [copyButton(() => text, say("train.copy_detail"))] : []});
    }
    if (!ENDED[state]) return null;
    return notice(ENDED[state], say(`train.next_${state}${state === "finished" || kept ? "" : "_empty"}`));
}

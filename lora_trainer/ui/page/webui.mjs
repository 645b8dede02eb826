/** What the page does in the WebUI around it: its txt2img prompt and its X/Y/Z plot. Without a WebUI nothing of this is offered. */

const PROMPT = "#txt2img_prompt textarea", NEGATIVE = "#txt2img_neg_prompt textarea";
const INFOTEXT = "#lora_trainer_infotext textarea, #lora_trainer_infotext input", PASTE = "#lora_trainer_send_xyz";

export const inWebui = () => Boolean(document.querySelector(PROMPT));

export const canSend = () => Boolean(document.querySelector(INFOTEXT) && document.querySelector(PASTE));

function fill(box, text) {
    box.value = text;
    box.dispatchEvent(new Event("input", {bubbles: true}));
}

function showTxt2img() {
    if (typeof window.switch_to_txt2img === "function") window.switch_to_txt2img();
}

/** `prompt` with the LoRA of `call` (the LoRA and its trigger word): in the place of another epoch of it, else at the end. */
export function withCall(prompt, call) {
    const tag = (call.match(/<lora:[^>]*>/) || [""])[0];
    const stem = tag.slice(6).replace(/(-\d+)?:.*$/, "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const other = new RegExp(`<lora:${stem}(-\\d+)?:[^>]*>`);
    return other.test(prompt) ? prompt.replace(other, () => tag) : [prompt.trim(), call].filter(Boolean).join(", ");
}

/** Put the LoRA into the prompt that is there, and show it. */
export function usePrompt(call) {
    const box = document.querySelector(PROMPT);
    fill(box, withCall(box.value, call));
    showTxt2img();
}

/** Put a picture's whole prompt there, with the LoRA. */
export function tryPrompt(prompt, negative, call) {
    fill(document.querySelector(PROMPT), withCall(prompt, (call.match(/<lora:[^>]*>/) || [call])[0]));
    const box = document.querySelector(NEGATIVE);
    if (box && negative) fill(box, negative);
    showTxt2img();
}

/** Let the WebUI paste an infotext, which chooses and fills its X/Y/Z plot. Its pasting reads the box a moment later. */
export function sendInfotext(infotext) {
    fill(document.querySelector(INFOTEXT), infotext);
    setTimeout(() => document.querySelector(PASTE).click(), 100);
}

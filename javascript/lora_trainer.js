/* Brings our page into its tab: waits until the tab is shown, asks which version of the page there is, and imports it. */
(() => {
    "use strict";

    const BASE = "./lora_trainer/v1/", SOON_MS = 500, LATE_MS = 10000, PATIENCE = 4;
    const LOST = ["The LoRA Trainer does not answer. It is asked again and again; if this stays, look at the WebUI's console.",
        "LoRA Trainer 没有响应，正在不断重试；若一直如此，请查看 WebUI 的控制台。"];
    const STRANGER = ["LoRA Trainer asks for the WebUI's login: reload the page.", "LoRA Trainer 需要 WebUI 的登录：请刷新页面。"];

    const place = () => document.getElementById("lora_trainer");
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));

    function tell(root, sentences) {
        if (root.dataset.told === sentences[0]) return;
        root.dataset.told = sentences[0];
        root.replaceChildren(...["en", "zh-Hans"].map((lang, index) => {
            const line = document.createElement("p");
            Object.assign(line, {lang, textContent: sentences[index]});
            return line;
        }));
        root.setAttribute("role", "alert");
    }

    /** The address of the page's first module, or null: its routes come a moment after the WebUI's page. */
    async function version(root, tries) {
        try {
            const answer = await fetch(`${BASE}about`, {cache: "no-store"});
            if (answer.ok) return (await answer.json()).page;
            if (answer.status === 401) tell(root, STRANGER);
            else if (tries > PATIENCE) tell(root, LOST);
        } catch (error) {
            if (tries > PATIENCE) tell(root, LOST);
        }
        return null;
    }

    async function bring(root) {
        for (let tries = 1; root.isConnected; tries += 1) {
            const found = await version(root, tries);
            if (found) {
                try {
                    root.removeAttribute("role");
                    await import(new URL(`${BASE}page/${found}/main.mjs`, document.baseURI).href);
                    return;
                } catch (error) {
                    console.error("LoRA Trainer:", error);
                    if (tries > PATIENCE) tell(root, LOST);
                }
            }
            await wait(Math.min(LATE_MS, SOON_MS * 1.6 ** tries));
        }
    }

    /** Nothing is loaded before somebody looks at the tab. */
    function attach() {
        const root = place();
        if (!root || root.dataset.attached) return;
        root.dataset.attached = "true";
        const seen = new IntersectionObserver((entries) => {
            if (!entries.some((entry) => entry.isIntersecting)) return;
            seen.disconnect();
            bring(root);
        });
        seen.observe(root);
    }

    if (typeof onUiLoaded === "function") onUiLoaded(attach);
    else document.addEventListener("DOMContentLoaded", attach);
})();

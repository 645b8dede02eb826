/* LoRA Trainer: follows the run that goes on and shows it in the tab; a reload or a second browser sees the same.
   What the server sends becomes text nodes and attributes, never markup. Without our tab on the page this does nothing. */
(() => {
    "use strict";

    const BASE = "./lora_trainer/v1/";
    const RUNNING_MS = 1000, IDLE_MS = 5000, SAY_AGAIN_MS = 60000;
    const page = {root: null, language: "en", texts: {}, run: null, parts: {}, timer: 0, asking: false, said: "", saidAt: 0};

    // ------------------------------------------------------------------ small tools

    const find = (id) => document.getElementById(`lora_trainer_${id}`);

    function fill(node, attributes, children) {
        for (const [name, value] of Object.entries(attributes)) {
            if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
        }
        node.append(...children.filter((child) => child !== null && child !== undefined));
        return node;
    }

    const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
    const draw = (tag, attributes = {}, ...children) =>
        fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

    function say(key, values = {}) {
        return (page.texts[key] || page.texts[`ui.${key}`] || "").replace(/{(\w+)[^}]*}/g, (_, name) => values[name]);
    }

    const inWebui = () => Boolean(document.getElementById("txt2img_prompt"));

    function write(node, text) {
        if (node.textContent !== text) node.textContent = text;
        node.hidden = !text;
    }

    async function ask(path, values = {}) {
        const answer = await fetch(`${BASE}${path}?${new URLSearchParams({...values, lang: page.language})}`);
        if (!answer.ok) throw new Error(`${answer.status} ${path}`);
        return answer.json();
    }

    async function copy(text, button) {
        try {
            await navigator.clipboard.writeText(text);
        } catch (error) { // a page that is not served safely has no clipboard
            const box = document.body.appendChild(make("textarea", {class: "lt-away"}));
            box.value = text;
            box.select();
            document.execCommand("copy");
            box.remove();
        }
        const label = button.textContent;
        button.textContent = say("copied");
        setTimeout(() => { button.textContent = label; }, 1500);
    }

    // ------------------------------------------------------------------ the page's own texts

    /** Put static texts into the browser's language; gradio has written them in `was`. */
    function translate(was) {
        const words = new Map(Object.entries(was).map(([key, text]) => [text, page.texts[key]]));
        const walker = document.createTreeWalker(page.root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const text = words.get(walker.currentNode.textContent.trim());
            if (text) walker.currentNode.textContent = text;
        }
    }

    /** Raw names on hover, as guides know them. */
    function nameFields() {
        for (const key of Object.keys(page.texts)) {
            const name = (key.match(/^setting\.(\w+)\.label$/) || [])[1];
            if (name && find(name)) find(name).title = name;
        }
    }

    /** gradio's folds know only the mouse. */
    function openFoldsByKey() {
        page.root.querySelectorAll("[id^=lora_trainer_group_] > .label-wrap").forEach((label) => {
            const tell = () => label.setAttribute("aria-expanded", label.nextElementSibling.style.display !== "none");
            fill(label, {role: "button", tabindex: 0}, []);
            tell();
            label.addEventListener("click", () => setTimeout(tell));
            label.addEventListener("keydown", (event) => {
                if (event.key !== "Enter" && event.key !== " ") return;
                event.preventDefault();
                label.click();
            });
        });
    }

    /** Point at the setting that a message speaks of, unfolding its group. */
    function markFields() {
        page.root.querySelectorAll(".lt-wrong").forEach((field) => {
            field.classList.remove("lt-wrong");
            field.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
        });
        const told = page.root.querySelector("#lora_trainer_message [data-field]");
        const field = told && find(told.dataset.field);
        if (!field) return;
        field.classList.add("lt-wrong");
        field.querySelectorAll("input, textarea").forEach((input) => input.setAttribute("aria-invalid", "true"));
        const fold = field.closest("[id^=lora_trainer_group_]");
        if (fold && field.offsetParent === null) fold.querySelector(".label-wrap").click();
    }

    // ------------------------------------------------------------------ the places that are filled

    function build() {
        const p = page.parts;
        p.name = make("span", {class: "lt-run-name"});
        p.headline = make("strong", {id: "lora_trainer_headline"});
        p.bar = make("div", {class: "lt-bar"});
        p.progress = make("div", {role: "progressbar", class: "lt-progress", "aria-labelledby": "lora_trainer_headline",
            "aria-valuemin": 0, "aria-valuemax": 100}, p.bar);
        p.position = make("span");
        p.eta = make("span", {class: "lt-eta"});
        p.loss = make("span", {class: "lt-loss"});
        p.note = make("p", {class: "lt-note"});
        p.failure = make("div", {role: "alert"});
        p.live = make("p", {class: "lt-away", "aria-live": "polite", id: "lora_trainer_live"});
        p.empty = make("div", {class: "lt-empty"}, make("p", {}, say("empty_what")), make("ol", {},
            make("li", {}, say("empty_images")), make("li", {}, say("empty_start")), make("li", {}, say("empty_choose"))));
        find("progress").replaceChildren(p.empty, make("div", {class: "lt-going"}, make("p", {class: "lt-line"}, p.headline, p.name),
            p.progress, make("p", {class: "lt-line lt-facts"}, p.position, p.eta, p.loss), p.note), p.failure, p.live);

        p.chart = make("div", {class: "lt-chart"});
        p.chartText = make("figcaption");
        p.figure = make("figure", {class: "lt-figure", hidden: true}, make("h4", {}, say("loss")), legend(), p.chart, p.chartText);
        p.strip = make("table", {class: "lt-strip"});
        p.previews = make("section", {hidden: true}, make("h4", {}, say("previews")), make("p", {class: "lt-muted"}, say("previews_how")),
            make("div", {class: "lt-scroll", tabindex: 0, role: "region", "aria-label": say("previews")}, p.strip));
        find("details").replaceChildren(p.previews, p.figure);

        if (typeof ignore_ids_for_localization !== "undefined") { // the WebUI would translate prompts and names of files
            for (const id of ["details", "results", "choice", "progress"]) ignore_ids_for_localization[`lora_trainer_${id}`] = "SPAN";
        }
        new ResizeObserver(() => page.run && renderChart(page.run)).observe(p.chart);
    }

    const legend = () => make("ul", {class: "lt-legend"}, ...["raw", "smooth", "held_out", "train"].map((line) =>
        make("li", {class: `lt-key-${line}`}, say(`curve.legend_${line}`))));

    // ------------------------------------------------------------------ a run

    function render(run, changed) {
        const p = page.parts, texts = run.texts || {};
        page.root.dataset.state = run.state;
        page.root.dataset.ours = run.ours;
        page.root.dataset.results = Boolean(run.files && run.files.length);
        find("start").disabled = run.busy;
        find("start").title = run.busy ? say("busy") : "";
        p.empty.hidden = run.id !== null;
        if (run.id === null) return;
        write(p.headline, texts.headline);
        write(p.name, run.name);
        write(p.position, texts.position);
        write(p.eta, texts.eta);
        write(p.loss, run.loss === null || run.state !== "running" ? "" : say("loss_now", {loss: run.loss.toPrecision(3)}));
        write(p.note, run.stopping ? say(`stopping_${run.stopping}`) : run.state === "running" && inWebui() ? say("waits") : "");
        for (const name of ["now", "after_epoch"]) find(`stop_${name}`).disabled = run.stopping === "now" || run.stopping === name;
        renderProgress(run);
        announce(run);
        if (!changed) return;
        renderFailure(run);
        renderPreviews(run);
        renderChart(run);
        renderResults(run);
        fetchInfotext(run);
    }

    function renderProgress(run) {
        const {progress, bar} = page.parts;
        const counted = run.stage === "training" || run.total > 1;
        const percent = Math.floor(run.fraction * 100);
        progress.hidden = run.state !== "running";
        progress.classList.toggle("lt-unknown", !counted);
        bar.style.width = counted ? `${run.fraction * 100}%` : "";
        if (counted) progress.setAttribute("aria-valuenow", percent);
        else progress.removeAttribute("aria-valuenow");
        progress.setAttribute("aria-valuetext", run.texts.progress);
    }

    /** Speak when the stage, the epoch or the outcome is new, otherwise at most once a minute. */
    function announce(run) {
        const now = Date.now(), news = [run.id, run.state, run.stage, run.epoch].join();
        if (news === page.said && (run.state !== "running" || now - page.saidAt < SAY_AGAIN_MS)) return;
        [page.said, page.saidAt] = [news, now];
        page.parts.live.textContent = run.texts.announcement;
    }

    function renderFailure(run) {
        const box = page.parts.failure;
        if (run.state !== "failed") return box.replaceChildren();
        if (box.dataset.run === run.id && box.firstChild) return undefined;
        box.dataset.run = run.id;
        const button = make("button", {type: "button", class: "lt-small"}, say("copy_detail"));
        button.addEventListener("click", () => copy(`${run.message}\n\n${run.detail}`, button));
        return box.replaceChildren(make("div", {class: "lt-message lt-problem"}, make("p", {}, make("span", {}, run.message)),
            run.detail ? make("details", {}, make("summary", {}, say("detail")), make("pre", {tabindex: 0}, run.detail), button) : null));
    }

    const epochName = (epoch) => epoch ? say("epoch", {epoch}) : say("base_model");

    function renderPreviews(run) {
        const {strip, previews} = page.parts;
        previews.hidden = !run.previews.length;
        if (strip.dataset.shown === `${run.id} ${run.previews.length}`) return;
        strip.dataset.shown = `${run.id} ${run.previews.length}`;
        const known = new Map([...strip.querySelectorAll("a")].map((link) => [link.getAttribute("href"), link]));
        const epochs = [...new Set(run.previews.map((preview) => preview.epoch))].sort((a, b) => a - b);
        const rows = [];
        for (const index of new Set(run.previews.map((preview) => preview.index))) {
            const own = run.previews.filter((preview) => preview.index === index);
            rows.push(make("tr", {}, make("th", {scope: "row", colspan: epochs.length, class: "lt-prompt"}, make("span", {}, own[0].prompt))));
            rows.push(make("tr", {}, ...epochs.map((epoch) => {
                const preview = own.find((one) => one.epoch === epoch);
                return make("td", {}, preview ? known.get(BASE + preview.url) || picture(preview) : null);
            })));
        }
        strip.replaceChildren(make("thead", {}, make("tr", {}, ...epochs.map((epoch) => make("th", {scope: "col"}, epochName(epoch))))),
            make("tbody", {}, ...rows));
    }

    function picture(preview) {
        const alt = say("preview_alt", {epoch: epochName(preview.epoch), prompt: preview.prompt});
        return make("a", {href: BASE + preview.url, target: "_blank"},
            make("img", {src: BASE + preview.url, alt, loading: "lazy", width: 112, height: 112}));
    }

    // ------------------------------------------------------------------ the loss chart

    function renderChart(run) {
        const {figure, chart, chartText} = page.parts, lines = run.series || {};
        figure.hidden = !run.texts || !run.texts.chart;
        if (figure.hidden) return;
        write(chartText, run.texts.chart);
        for (const name of Object.keys(lines)) figure.querySelector(`.lt-key-${name}`).hidden = !lines[name].length;
        const losses = [...lines.smooth, ...lines.held_out, ...lines.train].map((point) => point[1]);
        const room = Math.max((Math.max(...losses) - Math.min(...losses)) * 0.12, Math.max(...losses) * 0.01);
        const low = Math.max(0, Math.min(...losses) - room), high = Math.max(...losses) + room;
        const levels = [low, (low + high) / 2, high], digits = Math.max(...levels.map((loss) => loss.toPrecision(3).length));
        const width = Math.max(260, chart.clientWidth), height = 214, top = 8, bottom = height - 38;
        const left = 12 + 7 * digits, right = width - 10;
        const x = (step) => left + (right - left) * step / run.steps;
        const y = (loss) => bottom - (bottom - top) * (loss - low) / (high - low);
        const path = (points) => points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ");
        const line = (name) => draw("polyline", {class: `lt-line-${name}`, points: path(lines[name])});
        const level = (loss) => [draw("line", {class: "lt-grid", x1: left, x2: right, y1: y(loss), y2: y(loss)}),
            draw("text", {x: left - 6, y: y(loss) + 4, "text-anchor": "end"}, loss.toPrecision(3))];
        const frame = {x: left, y: top, width: right - left, height: bottom - top};
        chart.replaceChildren(draw("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": run.texts.chart},
            ...levels.flatMap(level), ...epochTicks(run, x, bottom),
            draw("text", {x: (left + right) / 2, y: height - 4, "text-anchor": "middle"}, say("curve.epoch")),
            draw("svg", {...frame, viewBox: `${left} ${top} ${frame.width} ${frame.height}`}, line("raw"), line("smooth")),
            line("train"), line("held_out"),
            ...lines.train.map((point) => draw("rect", {class: "lt-dot-train", x: x(point[0]) - 3, y: y(point[1]) - 3, width: 6, height: 6})),
            ...lines.held_out.map((point) => draw("circle", {class: "lt-dot-held_out", cx: x(point[0]), cy: y(point[1]), r: 3.5}))));
    }

    function epochTicks(run, x, bottom) {
        const apart = [1, 2, 5, 10, 20, 50, 100, 200].find((count) => run.epochs / count <= 12) || 500;
        const epochs = Array.from({length: run.epochs + 1}, (_, epoch) => epoch).filter((epoch) => epoch % apart === 0);
        return epochs.flatMap((epoch) => {
            const at = x(epoch * run.steps / run.epochs);
            return [draw("line", {class: "lt-axis", x1: at, x2: at, y1: bottom, y2: bottom + 5}),
                draw("text", {x: at, y: bottom + 18, "text-anchor": "middle"}, String(epoch))];
        });
    }

    // ------------------------------------------------------------------ results

    function renderResults(run) {
        const parts = [];
        find("choice").replaceChildren(...(run.chosen ? [choice(run.chosen)] : []));
        if (run.sheet) {
            parts.push(make("a", {href: BASE + run.sheet, target: "_blank", class: "lt-sheet"},
                make("img", {src: `${BASE}${run.sheet}?lines=${run.lines}`, alt: say("sheet_alt")})));
        }
        if (run.report) parts.push(make("p", {}, make("a", {href: BASE + run.report, target: "_blank"}, say("report"))));
        if (run.files.length) parts.push(files(run));
        const before = find("results").querySelector("details"), state = `${run.id} ${run.state}`;
        if (before && before.dataset.state === state && run.files.length) parts[parts.length - 1].open = before.open;
        find("results").replaceChildren(...parts);
    }

    function choice(chosen) {
        return make("section", {class: "lt-choice"}, make("h4", {}, say("chosen", chosen)),
            make("ul", {}, ...chosen.reasons.map((reason) => make("li", {}, make("span", {}, reason)))), promptLine(chosen.call));
    }

    function promptLine(call) {
        const button = make("button", {type: "button", class: "lt-small"}, say("copy"));
        button.addEventListener("click", () => copy(call, button));
        const box = make("input", {readonly: true, value: call, "aria-label": say("prompt_line")});
        box.addEventListener("focus", () => box.select());
        return make("div", {class: "lt-copy"}, box, button);
    }

    const files = (run) => make("details", {class: "lt-files", "data-state": `${run.id} ${run.state}`,
        open: run.state !== "running" && !run.chosen}, make("summary", {}, say("files", {count: run.files.length})),
        make("ul", {}, ...run.files.map((file) => make("li", {}, make("span", {}, say("epoch", {epoch: file.epoch})), promptLine(file.call)))));

    /** Put the LoRA into the WebUI's prompt, in the place of another epoch of it. */
    function use() {
        const run = page.run, box = document.querySelector("#txt2img_prompt textarea");
        const call = run && (run.chosen || run.files[run.files.length - 1]).call;
        if (!call || !box) return;
        const tag = call.match(/<lora:.*?>/)[0];
        const stem = tag.slice(6).replace(/-\d+:.*$/, "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const other = new RegExp(`<lora:${stem}-\\d+:[^>]*>`);
        box.value = other.test(box.value) ? box.value.replace(other, () => tag) : [box.value.trim(), call].filter(Boolean).join(", ");
        box.dispatchEvent(new Event("input", {bubbles: true}));
        if (typeof switch_to_txt2img === "function") switch_to_txt2img();
    }

    /** Keep the box that the WebUI pastes from filled; an empty one would paste the last picture's settings. */
    async function fetchInfotext(run) {
        const box = page.root.querySelector("#lora_trainer_infotext textarea"), ready = run.state !== "running" && run.files.length > 0;
        if (!box || !ready) { page.root.dataset.sendable = false; return; }
        const answer = await ask(`runs/${encodeURIComponent(run.id)}/infotext`);
        box.value = answer.infotext;
        box.dispatchEvent(new Event("input", {bubbles: true}));
        page.root.dataset.sendable = Boolean(answer.infotext);
        if (answer.problem) write(page.parts.note, answer.problem);
    }

    // ------------------------------------------------------------------ asking, again and again

    async function look() {
        const known = page.run;
        let run = await ask("runs/current/status", {since: known ? known.lines : -1});
        const stale = run.id !== null && !run.texts && (!known || run.id !== known.id || run.state !== known.state);
        if (stale) run = await ask("runs/current/status", {since: -1});
        const changed = Boolean(run.texts) || run.id === null;
        page.run = changed ? run : {...known, ...run};
        render(page.run, changed);
        page.root.classList.remove("lt-lost");
        page.parts.live.hidden = false;
    }

    async function poll() {
        clearTimeout(page.timer);
        const shown = !document.hidden && page.root.offsetParent !== null;
        if (shown && !page.asking) {
            page.asking = true;
            try {
                await look();
            } catch (error) {
                page.root.classList.add("lt-lost");
                write(page.parts.note, say("lost"));
            }
            page.asking = false;
        }
        const lively = !shown || (page.run && (page.run.state === "running" || page.run.busy));
        page.timer = setTimeout(poll, lively ? RUNNING_MS : IDLE_MS);
    }

    const soon = () => { clearTimeout(page.timer); page.timer = setTimeout(poll, 300); };

    async function showCheckpoint() {
        let {title, problem} = await ask("checkpoint");
        if (typeof opts !== "undefined" && opts.sd_model_checkpoint) title = opts.sd_model_checkpoint;
        if (title) find("checkpoint").replaceChildren(make("span", {}, say("checkpoint")), " ", make("span", {class: "lt-run-name"}, title));
        else if (problem) find("checkpoint").replaceChildren(make("span", {role: "alert"}, problem));
    }

    async function attach() {
        page.root = document.getElementById("lora_trainer");
        if (!page.root || page.root.dataset.state || !find("details")) return;
        page.root.dataset.state = "none";
        page.root.dataset.webui = inWebui();
        try {
            await begin();
        } catch (error) { // the routes come a moment after the page
            console.warn("LoRA Trainer:", error);
            delete page.root.dataset.state;
            setTimeout(attach, IDLE_MS);
        }
    }

    async function begin() {
        const {language, prescribed} = page.root.querySelector(".lt-head").dataset;
        const own = (navigator.language || "").toLowerCase().startsWith("zh") ? "zh" : "en";
        page.language = prescribed === "true" ? language : own;
        page.texts = await ask("texts");
        page.root.lang = page.language === "zh" ? "zh-Hans" : "en";
        if (page.language !== language) translate(await (await fetch(`${BASE}texts?lang=${language}`)).json());
        nameFields();
        openFoldsByKey();
        build();
        showCheckpoint().catch((error) => console.warn("LoRA Trainer:", error));
        new MutationObserver(markFields).observe(find("message"), {childList: true, subtree: true});
        page.root.addEventListener("click", (event) => {
            const button = event.target.closest("#lora_trainer_use, #lora_trainer_start, [id^=lora_trainer_stop]");
            if (button && button.id === "lora_trainer_use") use();
            else if (button) soon();
        });
        document.addEventListener("visibilitychange", soon);
        poll();
    }

    function attachWhenThere() {
        const observer = new MutationObserver(async () => {
            if (document.getElementById("lora_trainer_details")) {
                observer.disconnect();
                await attach();
            }
        });
        if (document.getElementById("lora_trainer_details")) attach();
        else observer.observe(document.documentElement, {childList: true, subtree: true});
    }

    if (typeof onUiLoaded === "function") onUiLoaded(attach);
    else attachWhenThere();
})();

/* "What makes a good set?": pairs drawn on the spot, good beside bad, so that nobody has to read much. */

import {draw, make} from "../dom.mjs";
import {button} from "../parts/button.mjs";
import {dialog} from "../parts/dialog.mjs";
import {say} from "../texts.mjs";

const WIDTH = 96, HEIGHT = 72;
const SKIES = ["#8fbfe0", "#e7c48b", "#a9cfa0", "#c9b3dc"];

/** A figure on a ground. */
function figure({x = 48, scale = 1, ground = SKIES[0], turn = 0}) {
    return draw("g", {}, draw("rect", {width: WIDTH, height: HEIGHT, fill: ground}),
        draw("g", {transform: `translate(${x} ${HEIGHT}) scale(${scale}) rotate(${turn})`},
            draw("path", {d: "M-15 0 Q-15 -24 0 -24 Q15 -24 15 0 Z", fill: "#34506b"}), draw("circle", {cx: 0, cy: -36, r: 13, fill: "#f3d6b8"}),
            draw("path", {d: "M-14 -36 Q-14 -52 0 -52 Q14 -52 14 -36 Q8 -44 0 -44 Q-8 -44 -14 -36 Z", fill: "#7a3b2e"})));
}

const scene = (content, extra = {}) => draw("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", class: "lt-scene", ...extra}, ...content);

const PAIRS = {
    varied: [() => [0, 1, 2].map((index) => scene([figure({x: 48, ground: SKIES[index], turn: [-8, 0, 9][index], scale: [1, 1.25, 0.85][index]})])),
        () => [0, 1, 2].map(() => scene([figure({})]))],
    close: [() => [scene([figure({scale: 1.25})])], () => [scene([figure({scale: 0.3, x: 70})])]],
    sharp: [() => [scene([figure({ground: SKIES[2]})])], () => [scene([figure({ground: SKIES[2]})], {style: {filter: "blur(3px)"}})]],
    alone: [() => [scene([figure({ground: SKIES[1]})])], () => [scene([figure({x: 48, ground: SKIES[1]}), draw("g", {transform: "translate(-30 0)"}, figure({ground: "none"})), draw("g", {transform: "translate(30 0)"}, figure({ground: "none"}))])]],
    clean: [() => [scene([figure({ground: SKIES[3]})])], () => [scene([figure({ground: SKIES[3]}), draw("text", {x: 6, y: 44, "font-size": 15, "font-weight": 700, fill: "#fff", "fill-opacity": 0.9, stroke: "#000", "stroke-width": 0.6, transform: "rotate(-14 48 40)"}, "© SAMPLE")])]],
};

/** Open the guide. */
export function guide() {
    const part = (kind, pictures, text) => make("div", {class: `lt-example lt-example-${kind}`}, make("div", {class: "lt-scenes"}, ...pictures),
        make("p", {}, make("strong", {}, say(`images.guide_${kind}`)), " ", make("span", {}, text)));
    const rows = Object.entries(PAIRS).map(([key, [good, bad]]) => make("div", {class: "lt-pair"},
        part("good", good(), say(`images.guide_${key}_good`)), part("bad", bad(), say(`images.guide_${key}_bad`))));
    return dialog(say("images.guide"), [make("p", {}, say("images.guide_count")), ...rows], (close) => [button(say("common.close"), () => close(), {kind: "primary"})], {wide: true});
}

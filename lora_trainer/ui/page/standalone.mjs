/* The page without a WebUI around it: what a WebUI does for it, and nothing else. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const show = () => document.documentElement.classList.toggle("dark", dark.matches);

dark.addEventListener("change", show);
show();
await import("./main.mjs");

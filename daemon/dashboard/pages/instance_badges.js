// What an instance is, at a glance: its mode, and whether it is paused, inactive or declared in config.yaml.

import { h } from "./dom.js";
import { modeName } from "./instance_words.js";
import { store } from "./store.js";

/** Whether an operator has paused it, or all of them. */
export const isPaused = (name) =>
  Boolean(store.top?.pauses.some((pause) => !pause.held && ["", name].includes(pause.instance)));

export function badges(one) {
  return h(
    "span.instance-badges",
    {},
    h(`span.mode.mode-${one.mode}`, {}, modeName(one.mode)),
    isPaused(one.instance) ? h("span.mode.mode-off", {}, "Paused") : null,
    one.active === false ? h("span.mode.mode-off", {}, "Inactive") : null,
    one.origin === "declared" ? h("span.mode", {}, "in config.yaml") : null,
  );
}

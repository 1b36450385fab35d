// Light, dark, or as the device has it. Kept on the device.

import { kept } from "./kept.js";

const KEY = "majlis.theme";
const CHOICES = ["auto", "light", "dark"];

let chosen = CHOICES.includes(kept.get(KEY)) ? kept.get(KEY) : "auto";

export const theme = {
  get choice() {
    return chosen;
  },

  set choice(choice) {
    chosen = choice;
    kept.set(KEY, choice);
    apply();
  },

  /** The one after it. */
  next() {
    return CHOICES[(CHOICES.indexOf(chosen) + 1) % CHOICES.length];
  },
};

function apply() {
  const root = document.documentElement;
  if (chosen === "auto") delete root.dataset.theme;
  else root.dataset.theme = chosen;
}

apply();

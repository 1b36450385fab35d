// Light, dark, or the system's colour scheme; stored on the device.

import { storage } from "./storage.js";

const KEY = "majlis.theme";
const CHOICES = ["auto", "light", "dark"];

let chosen = CHOICES.includes(storage.get(KEY)) ? storage.get(KEY) : "auto";

export const theme = {
  get choice() {
    return chosen;
  },

  set choice(choice) {
    chosen = choice;
    storage.set(KEY, choice);
    apply();
  },

  /** The choice after the present one. */
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

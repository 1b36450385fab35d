// Feedback for the user: a toast, or a question that must be answered.

import { ApiError } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const TOAST_MS = 6_000;
const place = h("div.toasts", { role: "status", "aria-live": "polite" });
document.body.append(place);

export function showToast(words, kind = "ok") {
  const toast = h(`p.toast.${kind}`, {}, icon(kind === "ok" ? "check" : "warn"), h("span", {}, words));
  place.append(toast);
  (document.querySelector("dialog[open]") ?? document.body).append(place); // a modal dialog hides everything outside it
  setTimeout(() => toast.remove(), TOAST_MS);
}

/** Do something that may be refused, and show a toast either way. Returns whether it succeeded. */
export async function withToast(action, words) {
  try {
    const done = await action();
    showToast(typeof words === "function" ? words(done) : words);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showToast(error.message, "error");
    return false;
  }
}

/** Ask before something that is hard to undo. */
export function confirmAction(title, about, verb) {
  const dialog = h(
    "dialog.confirm",
    { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-about" },
    h("h2", { id: "confirm-title" }, title),
    h("p", { id: "confirm-about" }, about),
    h(
      "form.row.end",
      { method: "dialog" },
      h("button.button", { value: "no", autofocus: true }, "Cancel"),
      h("button.button.danger", { value: "yes" }, verb),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

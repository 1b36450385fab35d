// Says something to the person: a short word at the edge of the page, or a question that must be answered.

import { ApiError } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const SAID_MS = 6_000;
const place = h("div.toasts", { role: "status", "aria-live": "polite" });
document.body.append(place);

export function tell(words, kind = "well") {
  const toast = h(`p.toast.${kind}`, {}, icon(kind === "well" ? "check" : "warn"), h("span", {}, words));
  place.append(toast);
  (document.querySelector("dialog[open]") ?? document.body).append(place); // what is outside a dialog is hidden by it
  setTimeout(() => toast.remove(), SAID_MS);
}

/** Do something that may be refused; tells either way. Gives back whether it was done. */
export async function attempt(action, words) {
  try {
    const done = await action();
    tell(typeof words === "function" ? words(done) : words);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    tell(error.message, "ill");
    return false;
  }
}

/** Ask before something that is not easily undone. */
export function confirmed(title, about, verb) {
  const dialog = h(
    "dialog.question",
    { "aria-labelledby": "question-title", "aria-describedby": "question-about" },
    h("h2", { id: "question-title" }, title),
    h("p", { id: "question-about" }, about),
    h(
      "form.row.end",
      { method: "dialog" },
      h("button.button", { value: "no", autofocus: true }, "Leave it"),
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

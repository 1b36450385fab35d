// The message box.

import { h } from "./dom.js";
import { icon } from "./icons.js";

const MAX_CHARS = 4_000;
const MAX_PIXELS = 140;

/** Enter sends; Shift+Enter starts a new line. */
export function composer(write) {
  const input = h("textarea", {
    rows: 1,
    maxlength: MAX_CHARS,
    dir: "auto",
    "aria-label": "Message",
    placeholder: "Write a message …",
    enterkeyhint: "send",
    oninput: grow,
    onkeydown: (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send();
    },
  });
  const node = h(
    "form.composer",
    { onsubmit: (event) => (event.preventDefault(), send()) },
    input,
    h("button.button.strong.round", { type: "submit", "aria-label": "Send" }, icon("send")),
  );
  return { node, enable };

  /** Disabled until the customer is known. */
  function enable(open) {
    input.disabled = !open;
    if (open && matchMedia("(pointer: fine)").matches) input.focus({ preventScroll: true });
  }

  function send() {
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    grow();
    write(text);
  }

  function grow() {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, MAX_PIXELS)}px`;
  }
}

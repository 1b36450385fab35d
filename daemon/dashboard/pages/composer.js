// Where a message is written.

import { h } from "./dom.js";
import { icon } from "./icons.js";

const MAX_CHARS = 4_000;
const MOST_PIXELS = 140;

/** Enter sends, Shift and Enter begin a new line, as on a phone's keyboard at a desk. */
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

  /** Nothing can be written before it is known as whom. */
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
    input.style.height = `${Math.min(input.scrollHeight, MOST_PIXELS)}px`;
  }
}

// Fields of a form, each with its words and, when the daemon refuses what was written, its sentence right there.

import { fill, h } from "./dom.js";

let latest = 0;

/** {node, input, value, problem(words)}. `input` is the element; `more` a line below it. */
export function field(words, input, more = null) {
  const id = `field-${(latest += 1)}`;
  const problem = h("p.field-problem", { id: `${id}-problem`, role: "alert", hidden: true });
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-more ${id}-problem`);
  const node = h(
    "div.field",
    {},
    h("label", { for: id }, words),
    input,
    h("p.quiet", { id: `${id}-more`, hidden: more === null }, more),
    problem,
  );
  return {
    node,
    input,
    get value() {
      return input.value;
    },
    /** Show why it was refused; empty: it was not. */
    problem(said) {
      problem.hidden = !said;
      fill(problem, said);
      if (!said) return input.removeAttribute("aria-invalid");
      input.setAttribute("aria-invalid", "true");
      input.focus();
    },
  };
}

/** One line, in the direction of what is written. */
export const lineInput = (value = "", more = {}) =>
  withValue(h("input", { type: "text", dir: "auto", autocomplete: "off", spellcheck: "false", ...more }), value);

/** Several lines. */
export const textInput = (value = "", more = {}) => withValue(h("textarea", { dir: "auto", ...more }), value);

/** What is written here is never shown again. */
export const secretInput = (more = {}) =>
  h("input", { type: "password", autocomplete: "new-password", spellcheck: "false", ...more });

function withValue(input, value) {
  input.value = value;
  return input;
}

/** The sentences of a refusal that are about this key, without it; null: none is. */
export function aboutKey(message, key) {
  const begins = `${key.toLowerCase()}:`;
  const its = message.split("\n").filter((line) => line.toLowerCase().startsWith(begins));
  return its.length ? its.map((line) => line.slice(begins.length).trim()).join("\n") : null;
}

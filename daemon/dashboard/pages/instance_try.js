// A question with the prompt as it stands in the editor, beside what the one that is live says to it.
//
// Nothing is sent or stored; what the provider asks for it is real, so nothing is asked before the button is pressed.

import { ApiError, post } from "./api.js";
import { bdi, fill, h, messageText } from "./dom.js";
import { field, textInput } from "./fields.js";
import { exact, ms, number } from "./format.js";
import { NEEDS } from "./instance_words.js";
import { statusLine } from "./status_line.js";
import { store } from "./store.js";
import { reason } from "./words.js";

const MOST_CHARS = 4_000;

export class Trial {
  #page;
  #draft;
  #question = field("What a customer could write", textInput("", { rows: 2, maxlength: MOST_CHARS, required: true }));
  #ask = h("button.button", { type: "submit" }, "Try it");
  #found = h("div.trial-answers", { role: "status" });

  /** `draft()`: the prompt in the editor, or null where it is the one that is live. */
  constructor(page, draft) {
    this.#page = page;
    this.#draft = draft;
    const may = store.may("operate");
    this.#ask.disabled = !may;
    this.node = h(
      "form.fields.trial",
      { onsubmit: (event) => (event.preventDefault(), this.#tried()) },
      h("h3", {}, "Try it before it is live"),
      this.#question.node,
      h(
        "div.row",
        {},
        this.#ask,
        h("span.quiet", {}, may ? "Nothing is sent to anybody. What it costs is real." : NEEDS.operate),
      ),
      this.#found,
    );
  }

  /** What was said of another live prompt is not shown beside this one. */
  clear() {
    this.#found.replaceChildren();
  }

  async #tried() {
    const text = this.#question.value.trim();
    if (!text) return this.#question.problem("Write a question first.");
    this.#question.problem("");
    const draft = this.#draft();
    const asked = draft === null ? [["The live prompt", null]] : [["Your draft", draft], ["The live prompt", null]];
    this.#ask.disabled = true;
    fill(this.#found, h("p.quiet", {}, "Asking …"));
    const answers = await Promise.all(asked.map(([, prompt]) => this.#answer(text, prompt)));
    this.#ask.disabled = false;
    fill(
      this.#found,
      asked.map(([words], place) => shown(words, answers[place])),
    );
  }

  async #answer(text, prompt) {
    const answer = await post(`${this.#page.path}/try`, { messages: [text], prompt }).catch((error) => error);
    if (answer instanceof Error && !(answer instanceof ApiError)) throw answer;
    return answer;
  }
}

function shown(words, found) {
  const isRefused = found instanceof Error;
  return h(
    "section.trial-answer",
    { "aria-label": words },
    h("h4", {}, words),
    isRefused ? statusLine(false, found.message) : said(found),
    isRefused ? null : h("p.quiet", {}, spent(found)),
  );
}

function said(found) {
  if (found.failed) return statusLine(false, "No answer:", `${reason(found.failed)}.`);
  return [
    found.escalation
      ? statusLine("warn", "A person would be asked for in place of this answer:", `${reason(found.escalation)}.`)
      : null,
    found.silent ? statusLine("quiet", "The model chose to say nothing.") : messageText(found.answer),
  ];
}

function spent({ seconds, cost, provider, model, input_tokens: read, output_tokens: written }) {
  const by = provider ? [", by ", bdi(provider), model ? [", model ", bdi(model)] : null] : null;
  const tokens = read || written ? `, ${number(read)} tokens in, ${number(written)} out` : "";
  const price = cost ? `cost ${exact(cost)}` : tokens ? "cost not known (no price is set)" : "cost 0";
  return [`${ms(seconds * 1_000)}, ${price}`, by, `${tokens}.`];
}

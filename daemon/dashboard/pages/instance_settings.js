// The settings of an instance: each with its value, where that comes from, and a form to change it in place.
//
// While a form is open the list is not drawn again, so that nothing is lost that is being written.

import { get } from "./api.js";
import { bdi, fill, fillWhen, h, option, setText } from "./dom.js";
import { aboutKey, field, lineInput, refusalWords, secretInput, textInput } from "./fields.js";
import { confirmAction, showToast, withToast } from "./feedback.js";
import { number } from "./format.js";
import { icon } from "./icons.js";
import { ELSEWHERE, GROUPS, NEEDS, groupOf, isHidden, isOwn, isUnset, levelOf } from "./instance_words.js";
import { store } from "./store.js";

const LONG_CHARS = 60;

export class Settings {
  #page;
  #values = [];
  #editing = new Set(); // the keys whose forms are open
  #list = h("div.setting-groups");
  #total = h("span.quiet", { role: "status" });
  #search = h("input", { type: "search", dir: "auto", size: 14, placeholder: "key or value" });
  #own = h("input", { type: "checkbox" });

  constructor(page) {
    this.#page = page;
    for (const one of [this.#search, this.#own]) one.addEventListener("input", () => this.#draw());
    this.node = h(
      "div",
      {},
      h(
        "div.choices",
        {},
        h("label.chooser", {}, h("span", {}, "Find"), this.#search),
        h("label.check", {}, this.#own, "Only what is set for this instance"),
        this.#total,
      ),
      this.#list,
      another(page, () => this.#draw()),
    );
  }

  update(view) {
    this.#values = view.values.filter((one) => !ELSEWHERE.has(one.key));
    this.#draw();
  }

  #draw() {
    if (this.#editing.size) return;
    const wanted = this.#search.value.trim().toLowerCase();
    const shown = this.#values.filter(
      (one) =>
        (!this.#own.checked || isOwn(one)) &&
        (!wanted || one.key.includes(wanted) || one.value.toLowerCase().includes(wanted)),
    );
    setText(this.#total, `${number(shown.length)} of ${number(this.#values.length)}`);
    const open = new Set([...this.#list.querySelectorAll("details[open]")].map((node) => node.dataset.group));
    const all = Boolean(wanted || this.#own.checked);
    fillWhen(this.#list, [shown, all], () =>
      grouped(shown).map(([name, values]) => this.#group(name, values, all || open.has(name))),
    );
  }

  #group(name, values, isOpen) {
    const own = values.filter(isOwn).length;
    return h(
      "details.setting-group",
      { open: isOpen, data: { group: name } },
      h(
        "summary",
        {},
        h("strong", {}, GROUPS[name] ?? name),
        " ",
        h("code", {}, name),
        own ? h("span.mode", {}, `${number(own)} set here`) : null,
      ),
      h(
        "ul.settings",
        {},
        values.map((one) => this.#line(one)),
      ),
    );
  }

  #line(one) {
    const level = levelOf(one);
    const may = store.may(level);
    const words = one.kind === "secret" ? "Replace" : "Edit";
    const node = h("li.setting");
    fill(node, [
      h(
        "div.setting-text",
        {},
        h("code", {}, one.key),
        h("span.setting-value", {}, valueOf(one)),
        h("span.quiet", {}, one.origin),
      ),
      may
        ? h(
            "div.row",
            {},
            h(
              "button.button",
              { type: "button", "aria-label": `${words} ${one.key}`, onclick: () => edit() },
              words,
            ),
            isOwn(one) && one.key !== "active"
              ? h(
                  "button.button.quiet",
                  { type: "button", "aria-label": `Unset ${one.key}`, onclick: () => this.#unset(one) },
                  "Unset",
                )
              : null,
          )
        : h("span.quiet", {}, NEEDS[level]),
    ]);
    const edit = () => {
      this.#editing.add(one.key);
      const form = settingForm(this.#page, one, () => this.#closed(one, node));
      fill(node, form.node);
      form.input.focus();
    };
    return node;
  }

  /** The line again, as the daemon has it now. */
  #closed(one, node) {
    this.#editing.delete(one.key);
    const line = this.#line(this.#values.find(({ key }) => key === one.key) ?? one);
    node.replaceWith(line);
    line.querySelector("button")?.focus();
    delete this.#list.dataset.signature;
  }

  async #unset(one) {
    const sure = await confirmAction(
      ["Unset ", h("code", {}, one.key), "?"],
      "The value of config.yaml, or the default, is in force again.",
      "Unset",
    );
    if (!sure) return;
    const refusal = await this.#page.change({}, [one.key]);
    showToast(refusal ? refusalWords(refusal.message, this.#page.name) : `${one.key} is unset.`, refusal ? "error" : "ok");
  }
}

function grouped(values) {
  const groups = new Map();
  for (const one of values) groups.set(groupOf(one.key), [...(groups.get(groupOf(one.key)) ?? []), one]);
  return [...groups];
}

function valueOf(one) {
  if (one.kind === "secret") return h("em", {}, isUnset(one) ? "not set" : "set, never shown");
  return isUnset(one) ? h("em", {}, "not set") : bdi(one.value);
}

function inputOf(one) {
  if (one.kind === "secret") return secretInput();
  const value = isUnset(one) || isHidden(one) ? "" : one.value;
  if (value === "true" || value === "false") {
    const choice = (words) => option(words, words, words === value);
    return h("select", {}, choice("true"), choice("false"));
  }
  const isLong = value.length > LONG_CHARS || value.includes("\n") || one.key.endsWith("message");
  return isLong ? textInput(value, { rows: 4 }) : lineInput(value);
}

/** `closed()` when it is in force, or was given up. */
function settingForm(page, one, closed) {
  const input = inputOf(one);
  const more = isHidden(one)
    ? ["Numbers and keys are hidden: write the whole value. ", revealed(page, one, input)]
    : `Now: ${one.origin}.`;
  const its = field(h("code", {}, one.key), input, more);
  const why = field("Reason, for the history (optional)", lineInput("", { maxlength: 200 }));
  const save = h("button.button.strong", { type: "submit" }, "Save");
  const keep = async () => {
    its.problem("");
    save.disabled = true;
    const refusal = await page.change({ [one.key]: input.value }, [], why.value.trim());
    save.disabled = false;
    if (refusal) return its.problem(aboutKey(refusal.message, one.key, page.name) ?? refusalWords(refusal.message, page.name));
    showToast(`${one.key} is in force.`);
    closed();
  };
  const node = h(
    "form.fields",
    {
      onsubmit: (event) => (event.preventDefault(), keep()),
      onkeydown: (event) => event.key === "Escape" && (event.stopPropagation(), closed()),
    },
    its.node,
    why.node,
    h(
      "div.row",
      {},
      save,
      h("button.button", { type: "button", onclick: () => closed() }, "Cancel"),
    ),
  );
  return { node, input };
}

/** For level admin: what is hidden, to be changed; the audit log records it. */
function revealed(page, one, input) {
  if (!store.may("admin")) return null;
  const reveal = () =>
    withToast(async () => {
      const view = await get(page.path, { reveal: true });
      input.value = view.values.find(({ key }) => key === one.key).value;
    }, "Revealed, and recorded in the audit log.");
  return h("button.button", { type: "button", onclick: reveal }, "Reveal");
}

/** A key that is not in the list yet, such as one of a second provider. */
function another(page, changed) {
  if (!store.may("operate")) return null;
  const key = field("Key", lineInput("", { required: true, dir: "ltr", placeholder: "responder.providers.0.model" }));
  const value = field("Value", lineInput());
  const set = async () => {
    const name = key.value.trim();
    for (const one of [key, value]) one.problem("");
    const refusal = await page.change({ [name]: value.value });
    if (refusal) return key.problem(aboutKey(refusal.message, name, page.name) ?? refusalWords(refusal.message, page.name));
    showToast(`${name} is in force.`);
    key.input.value = value.input.value = "";
    changed();
  };
  return h(
    "details",
    {},
    h("summary", {}, "Set a key that is not listed"),
    h(
      "form.fields",
      { onsubmit: (event) => (event.preventDefault(), set()) },
      key.node,
      value.node,
      h("div.row", {}, h("button.button", { type: "submit" }, icon("plus"), "Set")),
    ),
  );
}

// Adding an instance: its name, and what it needs for the first answer. The rest is set on its page.

import { ApiError, post } from "./api.js";
import { fill, h, option } from "./dom.js";
import { aboutKey, field, lineInput, secretInput, textInput } from "./fields.js";
import { showToast } from "./feedback.js";
import { icon } from "./icons.js";
import { MODES } from "./instance_words.js";
import { go, pageOf } from "./router.js";
import { store } from "./store.js";

/** A button that opens the form in a dialog; `added()` is called when there is one more. */
export function addInstance(added) {
  return h("button.button.strong", { type: "button", onclick: () => open(added) }, icon("plus"), "Add an instance");
}

function open(added) {
  const mode = h(
    "select",
    {},
    Object.entries(MODES).map(([name, { name: words }]) => option(name, words, name === "live")),
  );
  const fields = {
    name: field(
      "Name",
      lineInput("", { required: true, maxlength: 200 }),
      "As the gateway calls it: it stands in the webhook's address and cannot be changed.",
    ),
    prompt: field(
      "Prompt",
      textInput("", { rows: 6 }),
      "What the model is told about the business, in any language. Empty: set it later.",
    ),
    model: field("Model", lineInput(), "Empty: that of config.yaml."),
    "gateway.base_url": field(
      "Gateway address",
      lineInput("", { inputmode: "url", placeholder: "https://…" }),
      "Empty: that of config.yaml.",
    ),
    "gateway.api_key": field(
      "Gateway key",
      secretInput(),
      "Stored sealed, and never shown again.",
    ),
    mode: field("Mode", mode, MODES.live.does),
  };
  mode.addEventListener("change", () => fill(fields.mode.node.querySelector("p"), MODES[mode.value].does));
  const problem = h("p.field-problem", { role: "alert", hidden: true });
  const submit = h("button.button.strong", { type: "submit" }, "Add");
  const dialog = h(
    "dialog.confirm.form-dialog",
    { "aria-labelledby": "add-title", onclose: () => dialog.remove() },
    h("h2", { id: "add-title" }, "Add an instance"),
    h(
      "form.fields",
      { onsubmit: (event) => (event.preventDefault(), add()) },
      Object.values(fields).map((one) => one.node),
      problem,
      h(
        "div.row.end",
        {},
        h("button.button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        submit,
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  fields.name.input.focus();

  async function add() {
    const name = fields.name.value.trim();
    const set = {};
    for (const [key, one] of Object.entries(fields)) {
      one.problem("");
      if (key !== "name" && one.value.trim() && !(key === "mode" && one.value === "live")) set[key] = one.value;
    }
    problem.hidden = true;
    submit.disabled = true;
    try {
      await post(`/v1/instances/${encodeURIComponent(name)}/add`, { set, unset: [], why: "" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return refused(error, set);
    } finally {
      submit.disabled = false;
    }
    await store.renew();
    dialog.close();
    showToast(`${name} is added.`);
    added();
    go(pageOf("instances", name));
  }

  /** At the field that the sentence is about, else below them all. */
  function refused(error, set) {
    for (const key of Object.keys(set)) {
      const words = aboutKey(error.message, key);
      if (words !== null) return fields[key].problem(words);
    }
    problem.hidden = false;
    fill(problem, error.message);
  }
}

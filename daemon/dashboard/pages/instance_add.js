// Adding an instance: its name, and what it needs for the first answer. The rest is set on its page.

import { ApiError, post } from "./api.js";
import { bdi, fill, h, option } from "./dom.js";
import { aboutKey, addressInput, field, lineInput, refusalWords, secretInput, textInput } from "./fields.js";
import { showToast } from "./feedback.js";
import { icon } from "./icons.js";
import { MODES } from "./instance_words.js";
import { go, pageOf } from "./router.js";
import { store } from "./store.js";

/** A button that opens the form; `added()` is called when there is one more. */
export function addInstance(added) {
  return h("button.button.strong", { type: "button", onclick: () => newInstance("", added) }, icon("plus"), "Add an instance");
}

/** The form in a dialog; `known`: the name, where customers write to one that nobody has set up. */
export function newInstance(known = "", added = () => {}) {
  const mode = h(
    "select",
    {},
    Object.entries(MODES).map(([name, { name: words }]) => option(name, words, name === "live")),
  );
  const fields = {
    name: field(
      "Name",
      lineInput(known, { required: true, maxlength: 200, readonly: known !== "" }),
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
      addressInput(),
      "Empty: that of config.yaml.",
    ),
    "gateway.api_key": field(
      "Gateway key",
      secretInput(),
      "Stored sealed, and never shown again.",
    ),
    mode: field("Mode", mode, MODES.live.does),
    "passthrough.url": field("Old address", addressInput(), "Where what comes is forwarded to."),
  };
  const former = fields["passthrough.url"].node;
  former.hidden = true;
  mode.addEventListener("change", () => {
    fill(fields.mode.node.querySelector("p"), MODES[mode.value].does);
    former.hidden = mode.value !== "passthrough";
  });
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
  (known ? fields.prompt : fields.name).input.focus();

  async function add() {
    const name = fields.name.value.trim();
    const set = {};
    for (const [key, one] of Object.entries(fields)) {
      one.problem("");
      if (one.node.hidden) continue;
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
    showToast([bdi(name), " is added."]);
    added();
    go(pageOf("instances", name));
  }

  /** At the field that the sentence is about, else below them all. */
  function refused(error, set) {
    const name = fields.name.value.trim();
    for (const key of Object.keys(set)) {
      const words = aboutKey(error.message, key, name);
      if (words !== null) return fields[key].problem(words);
    }
    problem.hidden = false;
    fill(problem, refusalWords(error.message, name));
  }
}

// Adding an instance: its name, and what it needs for the first answer. The rest is set on its page.

import { ApiError, post } from "./api.js";
import { bdi, fill, h, option } from "./dom.js";
import { aboutKey, addressInput, field, lineInput, refusalWords, secretInput, textInput } from "./fields.js";
import { showToast } from "./feedback.js";
import { icon } from "./icons.js";
import { MODES, PROVIDERS } from "./instance_words.js";
import { go, pageOf } from "./router.js";
import { store } from "./store.js";

const SEALED = "Stored sealed, and never shown again.";

/** A button that opens the form; `added()` is called when there is one more. */
export function addInstance(added) {
  return h("button.button.strong", { type: "button", onclick: () => newInstance("", added) }, icon("plus"), "Add an instance");
}

const PROVIDER = "responder.providers.0";
const usual = ({ place }) => `https://${place}`;
const USUAL = new Set(Object.values(PROVIDERS).map(usual));

/** The form in a dialog; `known`: the name, where customers write to one that nobody has set up. */
export function newInstance(known = "", added = () => {}) {
  const mode = choice(Object.entries(MODES).map(([name, { name: words }]) => [name, words]), "live");
  const provider = choice([["", "As in config.yaml"], ...Object.entries(PROVIDERS).map(([kind, { name }]) => [kind, name])]);
  const gateway = choice([
    ["", "As in config.yaml"],
    ["evolution", "An Evolution API server"],
  ]);
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
    [`${PROVIDER}.kind`]: field("Who answers", provider),
    [`${PROVIDER}.base_url`]: field("Provider address", addressInput({ placeholder: "" })),
    [`${PROVIDER}.api_key`]: field("Provider key", secretInput(), SEALED),
    [`${PROVIDER}.model`]: field("Model", lineInput(), "Empty: that of config.yaml."),
    "gateway.kind": field("How its messages come and go", gateway),
    "gateway.base_url": field("Gateway address", addressInput()),
    "gateway.api_key": field("Gateway key", secretInput(), SEALED),
    mode: field("Mode", mode, MODES.live.does),
    "passthrough.url": field("Old address", addressInput(), "Where what comes is forwarded to."),
  };
  mode.addEventListener("change", () => fill(fields.mode.node.querySelector("p"), MODES[mode.value].does));
  for (const one of [mode, provider, gateway]) one.addEventListener("change", show);
  show();
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
      if (one.node.hidden || key === "name" || !one.value.trim()) continue;
      if (key !== "mode" || one.value !== "live") set[key] = one.value;
    }
    // Turns and costs are listed by this name, and not by that of the provider whose place it takes.
    if (provider.value) set[`${PROVIDER}.name`] = provider.value;
    problem.hidden = true;
    submit.disabled = true;
    try {
      await post(`/v1/instances/${encodeURIComponent(name)}/add`, { set, unset: [], why: "" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return refused(error);
    } finally {
      submit.disabled = false;
    }
    await store.renew();
    dialog.close();
    showToast([bdi(name), " is added."]);
    added();
    go(pageOf("instances", name));
  }

  /** Only what the choices need, which they cannot do without. */
  function show() {
    const of = (section, key) => fields[`${section}.${key}`];
    for (const [section, chosen] of [
      [PROVIDER, provider.value],
      ["gateway", gateway.value],
    ]) {
      for (const key of ["base_url", "api_key"]) of(section, key).node.hidden = !chosen;
      of(section, "base_url").input.required = Boolean(chosen);
    }
    of("passthrough", "url").node.hidden = mode.value !== "passthrough";
    const chosen = PROVIDERS[provider.value];
    const address = of(PROVIDER, "base_url").input;
    // Always written out: left out, it would be that of the provider whose place this one takes.
    if (!address.value || USUAL.has(address.value)) address.value = chosen ? usual(chosen) : "";
    of(PROVIDER, "api_key").input.required = Boolean(chosen?.needsKey);
    of("gateway", "api_key").input.required = Boolean(gateway.value);
    const model = of(PROVIDER, "model");
    model.input.required = Boolean(chosen);
    fill(model.node.querySelector("p"), chosen ? "As the provider calls it." : "Empty: that of config.yaml.");
  }

  /** At the fields that the sentences are about, else below them all. */
  function refused(error) {
    const name = fields.name.value.trim();
    const about = Object.entries(fields)
      .map(([key, one]) => [one, aboutKey(error.message, key, name)])
      .filter(([one, words]) => words !== null && !one.node.hidden);
    for (const [one, words] of about.reverse()) one.problem(words);
    if (about.length) return;
    problem.hidden = false;
    fill(problem, refusalWords(error.message, name));
  }
}

const choice = (all, chosen = "") =>
  h(
    "select",
    {},
    all.map(([value, words]) => option(value, words, value === chosen)),
  );

// Adding an instance: its name, and what it needs for the first answer. The rest is set on its page.

import { ApiError, post } from "./api.js";
import { fill, h, option } from "./dom.js";
import { aboutKey, field, lineInput, secretInput, textInput } from "./fields.js";
import { showToast } from "./feedback.js";
import { icon } from "./icons.js";
import { MODES, PROVIDERS } from "./instance_words.js";
import { go, pageOf } from "./router.js";
import { store } from "./store.js";

const SEALED = "Stored sealed, and never shown again.";

/** A button that opens the form in a dialog; `added()` is called when there is one more. */
export function addInstance(added) {
  return h("button.button.strong", { type: "button", onclick: () => open(added) }, icon("plus"), "Add an instance");
}

const PROVIDER = "responder.providers.0";
const usual = ({ place }) => `https://${place}`;
const USUAL = new Set(Object.values(PROVIDERS).map(usual));

function open(added) {
  const mode = choice(Object.entries(MODES).map(([name, { name: words }]) => [name, words]), "live");
  const provider = choice([["", "As in config.yaml"], ...Object.entries(PROVIDERS).map(([kind, { name }]) => [kind, name])]);
  const gateway = choice([
    ["", "As in config.yaml"],
    ["evolution", "An Evolution API server"],
  ]);
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
    [`${PROVIDER}.kind`]: field("Who answers", provider),
    [`${PROVIDER}.base_url`]: field("Provider address", lineInput("", { inputmode: "url" })),
    [`${PROVIDER}.api_key`]: field("Provider key", secretInput(), SEALED),
    [`${PROVIDER}.model`]: field("Model", lineInput(), "Empty: that of config.yaml."),
    "gateway.kind": field("How its messages come and go", gateway),
    "gateway.base_url": field("Gateway address", lineInput("", { inputmode: "url", placeholder: "https://…" })),
    "gateway.api_key": field("Gateway key", secretInput(), SEALED),
    mode: field("Mode", mode, MODES.live.does),
  };
  mode.addEventListener("change", () => fill(fields.mode.node.querySelector("p"), MODES[mode.value].does));
  for (const one of [provider, gateway]) one.addEventListener("change", show);
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
  fields.name.input.focus();

  async function add() {
    const name = fields.name.value.trim();
    const set = {};
    for (const [key, one] of Object.entries(fields)) {
      one.problem("");
      if (one.node.hidden || key === "name" || !one.value.trim()) continue;
      if (key !== "mode" || one.value !== "live") set[key] = one.value;
    }
    // Turns and costs are told by this name: not by that of a provider whose place it takes.
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
    showToast(`${name} is added.`);
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
    const known = PROVIDERS[provider.value];
    const address = of(PROVIDER, "base_url").input;
    // Always written out: left out, it would be that of the provider whose place this one takes.
    if (!address.value || USUAL.has(address.value)) address.value = known ? usual(known) : "";
    of(PROVIDER, "api_key").input.required = Boolean(known?.needsKey);
    of("gateway", "api_key").input.required = Boolean(gateway.value);
    const model = of(PROVIDER, "model");
    model.input.required = Boolean(known);
    fill(model.node.querySelector("p"), known ? "As the provider calls it." : "Empty: that of config.yaml.");
  }

  /** At the fields that the sentences are about, else below them all. */
  function refused(error) {
    const about = Object.entries(fields)
      .map(([key, one]) => [one, aboutKey(error.message, key)])
      .filter(([one, words]) => words !== null && !one.node.hidden);
    for (const [one, words] of about.reverse()) one.problem(words);
    if (about.length) return;
    problem.hidden = false;
    fill(problem, error.message);
  }
}

const choice = (all, chosen = "") =>
  h(
    "select",
    {},
    all.map(([value, words]) => option(value, words, value === chosen)),
  );

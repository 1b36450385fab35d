// What an operator does on the health page: pausing and resuming instances, and running the doctor.

import { get, post } from "./api.js";
import { fill, h, option } from "./dom.js";
import { icon } from "./icons.js";
import { statusLine } from "./status_line.js";
import { pauseWords } from "./shell.js";
import { store } from "./store.js";
import { withToast, confirmAction } from "./feedback.js";

/** What is paused, with buttons to resume it and to pause more. */
export function pauses(current) {
  const may = store.may("operate");
  const button = (words, sign, act) =>
    h("button.button", { type: "button", disabled: !may, onclick: act }, icon(sign), words);
  const all = current.find((pause) => !pause.instance);
  const path = (instance) => (instance ? `/v1/instances/${encodeURIComponent(instance)}` : "/v1");
  const change = async (action, words) => (await withToast(action, words), store.stale());
  const pause = async (instance) => {
    const name = instance ? `instance ${instance}` : "all instances";
    if (
      await confirmAction(
        `Pause ${name}?`,
        "Messages are still acknowledged and stored, but no turn starts until you resume.",
        "Pause",
      )
    ) {
      await change(() => post(`${path(instance)}/pause`), `Paused: ${name}.`);
    }
  };
  const select = h(
    "select",
    { "aria-label": "Instance to pause" },
    store.session.instances.map((name) => option(name, name)),
  );
  return [
    current.length ? null : h("p.quiet", {}, "Nothing is paused."),
    current.map((one) =>
      h(
        "p.row.spread",
        {},
        h("span", {}, pauseWords(one).join(" ")),
        button("Resume", "play", () =>
          change(() => post(`${path(one.instance)}/resume`), "Resumed: turns start again."),
        ),
      ),
    ),
    h(
      "div.row",
      {},
      h(
        "span.joined",
        {},
        button("Pause", "pause", () => pause(select.value)),
        select,
      ),
      all ? null : button("Pause all instances", "pause", () => pause("")),
    ),
  ];
}

const CHECK_SIGNS = { ok: "ok", warning: "warn", problem: "error" };

/** The doctor's checks, run on demand. */
export function doctor() {
  const found = h("div", { role: "status" });
  const ask = async () => {
    fill(found, h("p.quiet", {}, "Checking …"));
    const report = await get("/v1/doctor").catch((error) => error);
    if (report instanceof Error) return void fill(found, statusLine(false, report.message));
    fill(
      found,
      report.checks.map((check) =>
        statusLine(CHECK_SIGNS[check.state], check.name, check.detail, check.advice),
      ),
    );
  };
  return h(
    "div",
    {},
    h(
      "p",
      {},
      "Checks settings, stores, gateways and responders, with advice for each problem. ",
      h("button.button", { type: "button", onclick: ask }, "Check now"),
    ),
    found,
  );
}

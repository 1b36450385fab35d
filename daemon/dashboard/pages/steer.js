// What an operator steers and asks from the health board: pauses of instances, and the doctor.

import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { verdict } from "./verdict.js";
import { pauseWords } from "./shell.js";
import { store } from "./store.js";
import { attempt, confirmed } from "./talk.js";

/** What is paused, with the way to resume it, and the ways to pause more. */
export function pauses(standing) {
  const may = store.may("operate");
  const button = (words, sign, act) =>
    h("button.button", { type: "button", disabled: !may, onclick: act }, icon(sign), words);
  const all = standing.find((pause) => !pause.instance);
  const path = (instance) => (instance ? `/v1/instances/${encodeURIComponent(instance)}` : "/v1");
  const change = async (action, words) => (await attempt(action, words), store.stale());
  const pause = async (instance) => {
    const whom = instance ? `instance ${instance}` : "every instance";
    if (
      await confirmed(
        `Pause ${whom}?`,
        "Messages are still acknowledged and wait; no turn begins until somebody resumes it.",
        "Pause",
      )
    ) {
      await change(() => post(`${path(instance)}/pause`), `Paused: ${whom}.`);
    }
  };
  const select = h(
    "select",
    { "aria-label": "Instance to pause" },
    store.session.instances.map((name) => h("option", { value: name }, name)),
  );
  return [
    standing.length ? null : h("p.quiet", {}, "Nothing is paused."),
    standing.map((one) =>
      h(
        "p.row.spread",
        {},
        h("span", {}, pauseWords(one).join(" ")),
        button("Resume", "play", () => change(() => post(`${path(one.instance)}/resume`), "Turns begin again.")),
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
      all ? null : button("Pause everything", "pause", () => pause("")),
    ),
  ];
}

/** Checks that are made when somebody asks. */
export function doctor() {
  const found = h("div", { role: "status" });
  const ask = async () => {
    fill(found, h("p.quiet", {}, "Looking …"));
    const report = await get("/v1/doctor").catch((error) => error);
    if (report instanceof Error) return void fill(found, verdict(false, report.message));
    fill(
      found,
      report.checks.map((check) =>
        h(
          `div.check-${check.state}`,
          {},
          verdict(check.state === "ok", check.name, `${check.detail}${check.advice ? ` ${check.advice}` : ""}`),
        ),
      ),
    );
  };
  return h(
    "div",
    {},
    h(
      "p",
      {},
      "Checks stores, settings, gateway and responder, and says what to do. ",
      h("button.button", { type: "button", onclick: ask }, "Check now"),
    ),
    found,
  );
}

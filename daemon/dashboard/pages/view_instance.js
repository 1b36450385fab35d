// One instance: a section for each thing that is set or seen, drawn again from the daemon's answer after every change.

import { ApiError, post } from "./api.js";
import { bdi, fill, fillWhen, h } from "./dom.js";
import { confirmAction, showToast } from "./feedback.js";
import { ago, number } from "./format.js";
import { icon } from "./icons.js";
import { badges, isPaused } from "./instance_badges.js";
import { Connection } from "./instance_connection.js";
import { Forwards } from "./instance_forwards.js";
import { History } from "./instance_history.js";
import { Mode } from "./instance_mode.js";
import { Prompt } from "./instance_prompt.js";
import { Settings } from "./instance_settings.js";
import { Shadow } from "./instance_shadow.js";
import { NEEDS } from "./instance_words.js";
import { poll } from "./polling.js";
import { go, pageOf } from "./router.js";
import { store } from "./store.js";

const LOOK_MS = 3_000;

export function instancePage(root, signal, name) {
  const path = `/v1/instances/${encodeURIComponent(name)}`;
  const head = h("div.instance-state");
  const body = h("div", {}, h("p.empty-line", {}, "…"));
  const page = { name, path, signal, change, changed: () => again() };
  const sections = [
    ["mode", "Mode", new Mode(page)],
    ["prompt", "Prompt", new Prompt(page)],
    ["connection", "Connection", new Connection(page)],
    ["shadow", "Shadow: the comparison", new Shadow(page)],
    ["forwards", "Forwarding", new Forwards(page)],
    ["settings", "Settings", new Settings(page)],
    ["history", "History", new History(page)],
  ];
  const columns = h(
    "div.instance-page",
    {},
    sections.map(([id, title, part]) =>
      h(
        `section.section-card.instance-${id}`,
        { "aria-labelledby": `instance-${id}` },
        h("div.section-head", {}, h("h2", { id: `instance-${id}` }, title)),
        part.node,
      ),
    ),
    h("section.section-card", { "aria-labelledby": "instance-remove" }, removal()),
  );
  fill(
    root,
    h(
      "div.instance-head",
      {},
      h("a.button.quiet", { href: pageOf("instances") }, icon("back"), "All instances"),
      h("h1.instance-title", {}, bdi(name)),
      head,
    ),
    body,
  );
  const again = poll(body, path, () => ({}), LOOK_MS, signal, (answer) => {
    const view = withMode(answer);
    if (!columns.isConnected) body.append(columns);
    const { mode, active, origin, held, version } = view;
    fillWhen(head, [mode, active, origin, held, isPaused(name), version, ago(view.changed_at)], () => about(view));
    for (const [, , part] of sections) part.update(view);
  });

  /** Post; where nobody would answer the customers then, ask first. Returns whether it was done. */
  async function sure(what, asked, verb) {
    try {
      await post(`${path}/${what}`, asked);
    } catch (error) {
      if (error.reason !== "asks_first") throw error;
      if (!(await confirmAction("Nobody would answer", error.message, verb))) return false;
      await post(`${path}/${what}`, { ...asked, yes: true });
    }
    return true;
  }

  /** Set and unset some keys. Returns the error of a refusal; null: it is in force. */
  async function change(set, unset = [], why = "") {
    try {
      if (!(await sure("set", { set, unset, why }, "Change it all the same")))
        return new ApiError(0, "asks_first", "Nothing was changed.");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error;
    }
    await again();
    return null;
  }

  function removal() {
    const may = store.may("admin");
    return [
      h("div.section-head", {}, h("h2", { id: "instance-remove" }, "Remove")),
      h("p", {}, "The instance gets no answers any more. What was said stays in the history."),
      h(
        "p.row",
        {},
        h("button.button.danger", { type: "button", disabled: !may, onclick: remove }, "Remove this instance"),
        may ? null : h("span.quiet", {}, NEEDS.admin),
      ),
    ];
  }

  async function remove() {
    const isMeant = await confirmAction(
      ["Remove ", bdi(name), "?"],
      "If another system is to answer, give its webhook back first: what comes here later is of an unknown instance.",
      "Remove",
    );
    if (!isMeant) return;
    const done = await sure("remove", { why: "" }, "Remove it all the same").catch((error) => error);
    if (done instanceof Error) return showToast(done.message, "error");
    if (!done) return;
    await store.renew();
    showToast([bdi(name), " is removed."]);
    go(pageOf("instances"));
  }
}

/** Its mode and whether it is active are among its values. */
function withMode(view) {
  const of = (key) => view.values.find((one) => one.key === key)?.value;
  return { ...view, mode: of("mode") ?? "live", active: of("active") !== "false" };
}

function about(view) {
  return [
    badges(view),
    view.held ? h("p.banner.warn", {}, icon("warn"), h("span", {}, h("strong", {}, "Held. "), view.held)) : null,
    view.version
      ? h(
          "p.quiet",
          {},
          `Version ${number(view.version)}`,
          view.changed_at ? `, ${ago(view.changed_at)}` : "",
          view.changed_by ? [" by ", bdi(view.changed_by)] : null,
        )
      : null,
  ];
}

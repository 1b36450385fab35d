// Instances: all of them, or one with its mode, prompt, settings, connection, forwards and history.

import { bdi, fill, fillWhen, h, setText } from "./dom.js";
import { ago, number } from "./format.js";
import { icon } from "./icons.js";
import { addInstance } from "./instance_add.js";
import { badges, isPaused } from "./instance_badges.js";
import { HOW } from "./instance_words.js";
import { poll } from "./polling.js";
import { pageOf } from "./router.js";
import { store } from "./store.js";
import { instancePage } from "./view_instance.js";

const LOOK_MS = 5_000;

export function instances(root, signal, name) {
  if (name) instancePage(root, signal, name);
  else list(root, signal);
}

function list(root, signal) {
  const total = h("span.count");
  const rows = h("ul.instances");
  const found = h("div", {}, h("p.empty-line", {}, "…"));
  const search = h("input", { type: "search", dir: "auto", size: 14, placeholder: "name", oninput: () => narrow() });
  let known = [];
  fill(
    root,
    h(
      "section.narrow",
      { "aria-labelledby": "instances" },
      h(
        "div.section-head",
        {},
        h("h1", { id: "instances" }, "Instances"),
        total,
        h(
          "div.choices",
          {},
          h("label.chooser", {}, h("span", {}, "Find"), search),
          store.may("admin") ? addInstance(() => again()) : null,
        ),
      ),
      store.may("admin") ? null : h("p.quiet", {}, `To add or remove one you need access level admin. ${HOW}`),
      found,
    ),
  );
  const again = poll(found, "/v1/instances", () => ({}), LOOK_MS, signal, (page) => {
    if (!rows.isConnected) found.append(rows);
    known = page.instances;
    setText(total, number(known.length));
    narrow();
  });

  function narrow() {
    const wanted = search.value.trim().toLowerCase();
    const shown = known.filter((one) => one.instance.toLowerCase().includes(wanted));
    // Of a time that passes, only what is shown of it: the list keeps its focus between two looks.
    const signature = shown.map((one) => [one, isPaused(one.instance), one.last_message_at && ago(one.last_message_at), ago(one.changed_at)]);
    fillWhen(rows, signature, () => (shown.length ? shown.map(row) : none(known.length > 0)));
  }
}

function none(some) {
  return h(
    "li.empty-line",
    {},
    some
      ? "None has that in its name."
      : "There are no instances yet: add the first one, and try it in the playground.",
  );
}

function row(one) {
  return h(
    "li.instance",
    { class: `instance${one.held ? " is-held" : ""}` },
    h(
      "div.instance-main",
      {},
      h("a.instance-name", { href: pageOf("instances", one.instance) }, bdi(one.instance)),
      badges(one),
      one.held ? h("p.instance-held", {}, icon("warn"), h("span", {}, `Held: ${one.held}`)) : null,
    ),
    h(
      "p.quiet",
      {},
      one.has_prompt === false ? "No prompt. " : null,
      one.gateway ? ["Gateway ", bdi(one.gateway), ". "] : null,
      one.last_message_at ? `Last message ${ago(one.last_message_at)}. ` : "No message yet. ",
      ["Changed ", ago(one.changed_at), " by ", bdi(one.changed_by), "."],
    ),
  );
}

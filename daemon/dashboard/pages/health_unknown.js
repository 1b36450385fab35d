// Instances that nobody has set up, and whose customers write: with the way to add each.

import { bdi, h } from "./dom.js";
import { count, duration } from "./format.js";
import { icon } from "./icons.js";
import { newInstance } from "./instance_add.js";
import { store } from "./store.js";

/** `all` as /v1/status lists them. */
export function unknownInstances(all) {
  return all.map((one) => {
    const isName = !one.instance.startsWith("("); // else it stands for several
    return h(
      "div.raised-alert.unknown-instance",
      {},
      icon("warn"),
      h(
        "div",
        {},
        h(
          "p",
          {},
          h("strong", {}, isName ? ["Nobody has set up ", bdi(one.instance)] : NAMELESS[one.instance] ?? one.instance),
          h("span.since", {}, ` ${count(one.messages, "message")}, the last ${duration(one.seconds_ago)} ago`),
        ),
        isName ? adding(one.instance) : h("p", {}, "Their messages are not answered. Add the instance that they are for."),
      ),
    );
  });
}

const NAMELESS = {
  "(unknown)": "Customers of an instance whose webhooks prove nothing about their sender",
  "(others)": "Customers of many more instances that nobody has set up",
};

function adding(name) {
  const command = h("code", {}, bdi(`majlis instance add ${shellWord(name)}`));
  return h(
    "p.row",
    {},
    store.may("admin")
      ? h("button.button", { type: "button", onclick: () => newInstance(name) }, icon("plus"), "Add it …")
      : h("span.quiet", {}, "With access level admin:"),
    command,
  );
}

/** As a shell reads it: the name came from outside. */
const shellWord = (name) => (/^[\w.@%+=:,/-]+$/.test(name) ? name : `'${name.replaceAll("'", `'"'"'`)}'`);

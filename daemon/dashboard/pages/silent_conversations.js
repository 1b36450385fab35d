// Conversations in which Majlis is silent: taken over, escalated, silent to a machine, or opted out.

import { get } from "./api.js";
import { bdi, fillWhen, h, setText } from "./dom.js";
import { ago, moment, number } from "./format.js";
import { icon } from "./icons.js";
import { beside } from "./router.js";
import { store } from "./store.js";

const EVERY_MS = 5_000;

/** The list; hidden while it is empty. */
export function silentConversations(signal) {
  const list = h("ul.silent-list");
  const section = h(
    "section.silent",
    { hidden: true, "aria-labelledby": "silent" },
    h("div.section-head", {}, h("h2", { id: "silent" }, "Majlis is silent"), h("span.count")),
    list,
  );
  let at = -Infinity;
  store.on("top", ask, signal);
  return section;

  async function ask() {
    if (performance.now() - at < EVERY_MS) return;
    at = performance.now();
    const page = await get("/v1/silent", { limit: 20 }).catch(() => null);
    if (!page || signal.aborted) return;
    section.hidden = !page.matching;
    setText(section.querySelector(".count"), number(page.matching));
    fillWhen(list, page, () => [
      ...page.conversations.map((one) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: beside("conversation", one.conversation) },
            icon(one.taken_over || one.escalated ? "person" : "pause"),
            bdi(one.instance),
            " ",
            bdi(one.contact),
          ),
          h(
            "span.quiet",
            {},
            one.escalated
              ? `escalated ${ago(one.escalated.since)}`
              : one.taken_over
                ? `taken over until ${moment(one.taken_over.until)}`
                : one.machine
                  ? `silent to a machine until ${moment(one.machine.until)}`
                  : `opted out ${ago(one.opted_out.since)}`,
          ),
        ),
      ),
      page.matching > page.conversations.length
        ? h("li.quiet", {}, `and ${number(page.matching - page.conversations.length)} more`)
        : null,
    ]);
  }
}

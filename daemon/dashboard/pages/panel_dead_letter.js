// One dead letter: why it failed, and what the customer wrote.

import { get } from "./api.js";
import { poll, maskNotice } from "./polling.js";
import { bdi, fill, h } from "./dom.js";
import { count, moment } from "./format.js";
import { messageList } from "./message_list.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { reason } from "./words.js";
import { withToast } from "./feedback.js";
import { deadLetterActions, deadLetterReason } from "./view_dead_letters.js";

export function deadLetter(root, title, { id }, signal) {
  const path = `/v1/dead/${encodeURIComponent(id)}`;
  title.textContent = `Dead letter ${id}`;
  let revealed = null;
  const again = poll(root, path, () => ({}), 0, signal, draw);

  function draw(view) {
    const shown = revealed ?? view;
    fill(
      root,
      h("p.summary", {}, deadLetterReason(view)),
      h(
        "p.quiet",
        {},
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(shown.contact)),
        `, failed ${moment(view.buried_at)} after ${count(view.tries, "attempt")}.`,
        view.retried_at ? ` Retried ${moment(view.retried_at)}.` : "",
        view.dropped_at ? ` Dropped ${moment(view.dropped_at)}.` : "",
      ),
      view.got ? h("p.quiet", {}, `${view.got[0].toUpperCase()}${view.got.slice(1)}.`) : null,
      ...view.asked.map((one) =>
        h(
          "p.quiet",
          {},
          bdi(one.provider),
          ` was asked in vain, ${count(one.calls, "call")}: ${reason(one.reason)}. Last ${moment(one.at)}.`,
        ),
      ),
      h("div.row", {}, deadLetterActions(view, again)),
      h("h3", {}, `Received: ${count(view.messages.length, "message")}`),
      messageList(shown.messages, view.instance),
      maskNotice(store.may("admin"), revealed, () => reveal(view)),
    );
  }

  async function reveal(view) {
    await withToast(async () => {
      revealed = await get(path, { reveal: true });
      draw(view);
    }, "Revealed, and recorded in the audit log.");
  }
}

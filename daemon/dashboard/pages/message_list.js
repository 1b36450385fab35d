// The messages of a buffer, a turn or a dead letter: time, kind and text.

import { h, messageText } from "./dom.js";
import { moment } from "./format.js";
import { beside } from "./router.js";
import { ownTexts } from "./chat_session.js";
import { ASIDES, isMasked } from "./words.js";

/** How the server masks an empty text: of an edit that was applied, and of what was deleted. */
const NOTHING = "(0 characters)";

/** `texts`: revealed texts, by message id. */
export function messageList(messages, instance, texts = new Map()) {
  return h(
    "ol.messages",
    {},
    messages.map((message) =>
      line(message, instance, texts.get(message.id) ?? ownTexts.get(message.id) ?? message.text),
    ),
  );
}

function line(message, instance, text) {
  const isAside = message.aside && message.aside === message.kind;
  const kind = message.kind === "text" ? null : h("span.kind", {}, isAside ? ASIDES[message.aside] : message.kind);
  const found = message.swept ? h("span.kind", {}, "found later") : null;
  const aside = message.aside && !isAside ? h("span.kind", {}, ASIDES[message.aside]) : null;
  const album = message.album_size ? h("span.kind", {}, `of ${message.album_size}`) : null;
  return h(
    "li.message",
    {},
    text && text !== NOTHING ? textOf(text) : null,
    h(
      "p.message-about",
      {},
      moment(message.arrived_at || message.sent_at),
      kind,
      album,
      found,
      aside,
      h("a", { href: beside("explain", message.id, instance) }, "Explain"),
    ),
  );
}

/** A text with its own direction, or the length of a masked one. */
export function textOf(text) {
  return isMasked(text) ? h("p.masked", {}, text.slice(1, -1), ", hidden") : messageText(text);
}

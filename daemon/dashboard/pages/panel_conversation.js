// One conversation: what it waits for and until when, its turns, and what an operator can do.

import { get, post } from "./api.js";
import { poll, maskNotice } from "./polling.js";
import { afterColon, showRing } from "./cards.js";
import { bdi, fillWhen, h, option, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, left, moment } from "./format.js";
import { messageList, textOf } from "./message_list.js";
import { Ring, countdown } from "./ring.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { withToast } from "./feedback.js";
import { turnLog } from "./turn_log.js";
import { badgeOf } from "./turn_pane.js";
import { turnRule } from "./turn_words.js";
import { STATES, capital, doing, why } from "./words.js";

const LOOK_MS = 1_000;
const TAKEOVER_TIMES = [
  ["", "default time"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
];

export function conversation(root, title, { id }, signal) {
  const path = `/v1/conversations/${encodeURIComponent(id)}`;
  const ring = new Ring(".large");
  const state = h("span.state");
  const words = h("span.doing");
  const about = h("p.quiet.about");
  const takeover = h("div");
  const actions = h("div.row");
  const waiting = h("section");
  const turns = h("section");
  const own = h("section");
  const mask = h("div");
  const revealed = { contact: null, texts: new Map(), parts: new Map() };
  let row = null;
  let deadline = null;
  title.textContent = "Conversation";
  const head = h("div.panel-state", {}, ring.node, h("div", {}, h("p", {}, state, words), about));
  const stop = countdown(
    () => deadline ?? 0,
    (seconds) => {
      const timeLeft = deadline === null || seconds === 0 ? "" : left(seconds);
      if (row) setText(words, afterColon(doing(row, turnLog.stage(id), timeLeft)));
    },
  );
  signal.addEventListener("abort", () => (stop(), ring.leave()));
  const again = poll(root, path, () => ({}), LOOK_MS, signal, show);

  function show(view) {
    if (!head.isConnected) root.append(head, takeover, actions, mask, waiting, turns, own);
    title.replaceChildren(bdi(view.instance), " ", bdi(revealed.contact ?? view.contact));
    const ends = view.closes_in_seconds === null ? null : performance.now() + view.closes_in_seconds * 1000;
    if (ends === null || deadline === null || Math.abs(ends - deadline) > 200) deadline = ends;
    row = { ...view, waiting_messages: view.waiting.length, window_seconds: windowOf(id) };
    setText(state, STATES[view.state] ?? view.state);
    state.className = `state is-${view.state}`;
    showRing(ring, row, deadline);
    fillWhen(about, [view.partition, view.epoch, view.tries], () => facts(view));
    fillWhen(takeover, [view.taken_over, view.escalated, view.opted_out, view.machine], () => takeoverNotices(view));
    const silent = Boolean(view.taken_over || view.escalated || view.machine);
    fillWhen(actions, [view.state, view.waiting.length > 0, silent], () => buttons(view));
    fillWhen(mask, [revealed.contact], () => maskNotice(store.may("admin"), revealed.contact, reveal));
    fillWhen(waiting, [view.waiting, revealed.contact], () => [
      h("h3", {}, view.waiting.length ? `Waiting: ${count(view.waiting.length, "message")}` : "No waiting messages"),
      view.waiting.length ? messageList(view.waiting, view.instance, revealed.texts) : null,
    ]);
    fillWhen(turns, [view.turns, revealed.contact], () => [
      h("h3", {}, view.turns.length ? "Turns, newest first" : "No turns yet"),
      h(
        "ol.past",
        {},
        view.turns.map((turn) => past(turn, revealed.parts)),
      ),
    ]);
    fillWhen(own, [view.of_business], () => (view.of_business.length ? ofBusiness(view) : []));
  }

  async function reveal() {
    await withToast(async () => {
      const view = await get(path, { reveal: true });
      revealed.contact = view.contact;
      for (const message of view.waiting) revealed.texts.set(message.id, message.text);
      for (const turn of view.turns)
        for (const part of turn.parts) revealed.parts.set(`${turn.id} ${part.number}`, part.text);
      again();
    }, "Revealed, and recorded in the audit log.");
  }

  function buttons(view) {
    const may = store.may("operate");
    const silent = view.taken_over || view.escalated || view.machine;
    const button = (words_, sign, enabled, act) =>
      h(
        "button.button",
        { type: "button", disabled: !may || !enabled, onclick: act },
        icon(sign),
        words_,
      );
    const waits = view.waiting.length > 0 || ["holding", "retrying", "parked"].includes(view.state);
    const seconds = h(
      "select",
      { "aria-label": "Duration of the take-over", disabled: !may },
      TAKEOVER_TIMES.map(([value, words_]) => option(value, words_)),
    );
    const flush = () =>
      act(
        () => post(`${path}/flush`),
        (done) => `The window is closed: ${count(done.messages, "message")} will be answered now.`,
      );
    const takeOver = () =>
      act(
        () => post(`${path}/pause`, {}, { seconds: seconds.value }),
        (done) => `Taken over: Majlis is silent here until ${moment(done.until)}.`,
      );
    const resume = () => act(() => post(`${path}/resume`), "Handed back: Majlis answers here again.");
    return [
      button("Answer now", "send", waits, flush),
      button(silent ? "Hand back" : "Resume", "play", silent || ["parked", "holding"].includes(view.state), resume),
      h("span.joined", {}, button("Take over", "person", true, takeOver), seconds),
      may ? null : h("p.quiet", {}, "To do this you need access level operate."),
    ];
  }

  async function act(action, words_) {
    await withToast(action, words_);
    again();
  }
}

function windowOf(label) {
  return store.top?.rows.find((row) => row.conversation === label)?.window_seconds ?? 0;
}

function facts(view) {
  const owner = view.epoch === null ? "owned by another daemon" : `epoch ${view.epoch}`;
  const attempts = view.tries ? `, ${count(view.tries, "failed attempt")}` : "";
  return [h("code", {}, view.conversation), ` · partition ${view.partition}, ${owner}${attempts}`];
}

function takeoverNotices(view) {
  const { taken_over: taken, escalated, opted_out: out, machine } = view;
  return [
    out
      ? h(
          "p.banner.pause",
          {},
          icon("pause"),
          h(
            "span",
            {},
            h("strong", {}, `Opted out by the customer since ${moment(out.since)}.`),
            out.heeded ? " Majlis is silent here until a start word." : " Without effect: opt_out.enabled is off.",
          ),
        )
      : null,
    taken
      ? h(
          "p.banner.pause",
          {},
          icon("person"),
          h(
            "span",
            {},
            h("strong", {}, `Taken over by a person until ${moment(taken.until)}.`),
            " Majlis is silent here.",
          ),
        )
      : null,
    escalated
      ? h(
          "p.banner.warn",
          {},
          icon("person"),
          h(
            "span",
            {},
            h("strong", {}, `Escalated since ${moment(escalated.since)}.`),
            escalated.why ? ` Reason: ${why(escalated.why)}.` : "",
          ),
        )
      : null,
    machine
      ? h(
          "p.banner.warn",
          {},
          icon("pause"),
          h(
            "span",
            {},
            h("strong", {}, `Another machine seems to answer here: silent until ${moment(machine.until)}.`),
            machine.heeded ? ` Signs: ${machine.signs.join(", ")}.` : " Without effect: machines.enabled is off.",
          ),
        )
      : null,
  ];
}

/** What the business wrote here, and what it was taken for. */
function ofBusiness(view) {
  return [
    h("h3", {}, "Of the business, newest first"),
    h(
      "ol.messages",
      {},
      view.of_business.map((message) =>
        h(
          "li.message",
          {},
          h("p", {}, capital(message.why), "."),
          h(
            "p.message-about",
            {},
            moment(message.sent_at),
            h("a", { href: beside("explain", message.id, view.instance) }, "Explain"),
          ),
        ),
      ),
    ),
  ];
}

function past(turn, parts) {
  const replies = turn.parts.map((part) => textOf(parts.get(`${turn.id} ${part.number}`) ?? part.text));
  const words = turn.rule ? h("p.quiet", {}, capital(turnRule(turn)), ".") : null;
  return h(
    "li.past-turn",
    {},
    h(
      "p.past-head",
      {},
      h("a", { href: beside("turn", turn.id) }, `Turn ${turn.id}`),
      badgeOf(turn),
      h("span.quiet", {}, `${count(turn.messages, "message")}, ${moment(turn.started_at)}`),
    ),
    words,
    replies,
  );
}

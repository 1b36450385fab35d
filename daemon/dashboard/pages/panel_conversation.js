// One conversation: what waits, why and until when, what was answered, and what an operator can do about it.

import { get, post } from "./api.js";
import { asked, veil } from "./asked.js";
import { showRing } from "./cards.js";
import { bdi, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, left, moment } from "./format.js";
import { messageList, textOf } from "./message_list.js";
import { Ring, countdown } from "./ring.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { attempt } from "./talk.js";
import { turnlog } from "./turnlog.js";
import { STATES, TURN_STATES, doing, rule, why } from "./words.js";

const LOOK_MS = 1_000;
const PAUSES = [
  ["", "as long as configured"],
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
  const standing = h("div");
  const actions = h("div.row");
  const waiting = h("section");
  const turns = h("section");
  const mask = h("div");
  const seen = { contact: null, texts: new Map(), parts: new Map() };
  let row = null;
  let deadline = null;
  title.textContent = "Conversation";
  const head = h("div.panel-state", {}, ring.node, h("div", {}, h("p", {}, state, " ", words), about));
  const stop = countdown(
    () => deadline ?? 0,
    (seconds) =>
      row && setText(words, doing(row, turnlog.stage(id), deadline === null || seconds === 0 ? "" : left(seconds))),
  );
  signal.addEventListener("abort", () => (stop(), ring.leave()));
  const again = asked(root, path, () => ({}), LOOK_MS, signal, show);

  function show(view) {
    if (!head.isConnected) root.append(head, standing, actions, mask, waiting, turns);
    title.replaceChildren(bdi(view.instance), " ", bdi(seen.contact ?? view.contact));
    const ends = view.closes_in_seconds === null ? null : performance.now() + view.closes_in_seconds * 1000;
    if (ends === null || deadline === null || Math.abs(ends - deadline) > 200) deadline = ends;
    row = { ...view, waiting_messages: view.waiting.length, window_seconds: windowOf(id) };
    setText(state, STATES[view.state] ?? view.state);
    state.className = `state is-${view.state}`;
    showRing(ring, row, deadline);
    fillWhen(about, [view.partition, view.epoch, view.tries], () => facts(view));
    fillWhen(standing, [view.taken_over, view.escalated], () => silence(view));
    fillWhen(actions, [view.state, view.waiting.length > 0, Boolean(view.taken_over), Boolean(view.escalated)], () =>
      buttons(view),
    );
    fillWhen(mask, [seen.contact], () => veil(store.may("admin"), seen.contact, reveal));
    fillWhen(waiting, [view.waiting, seen.contact], () => [
      h("h3", {}, view.waiting.length ? `Waiting: ${count(view.waiting.length, "message")}` : "Nothing waits"),
      view.waiting.length ? messageList(view.waiting, view.instance, seen.texts) : null,
    ]);
    fillWhen(turns, [view.turns, seen.contact], () => [
      h("h3", {}, view.turns.length ? "Turns, the latest first" : "No turn yet"),
      h(
        "ol.past",
        {},
        view.turns.map((turn) => past(turn, seen.parts)),
      ),
    ]);
  }

  async function reveal() {
    await attempt(async () => {
      const view = await get(path, { reveal: true });
      seen.contact = view.contact;
      for (const message of view.waiting) seen.texts.set(message.id, message.text);
      for (const turn of view.turns)
        for (const part of turn.parts) seen.parts.set(`${turn.id} ${part.number}`, part.text);
      again();
    }, "Shown, and recorded.");
  }

  function buttons(view) {
    const may = store.may("operate");
    const silent = view.taken_over || view.escalated;
    const button = (words_, sign, enabled, act) =>
      h(
        "button.button",
        { type: "button", disabled: !may || !enabled, title: may ? null : "Needs level operate", onclick: act },
        icon(sign),
        words_,
      );
    const waits = view.waiting.length > 0 || ["holding", "retrying", "parked"].includes(view.state);
    const seconds = h(
      "select",
      { "aria-label": "How long Majlis is silent here", disabled: !may },
      PAUSES.map(([value, said]) => h("option", { value }, said)),
    );
    const flush = () =>
      act(
        () => post(`${path}/flush`),
        (done) => `The window is closed: ${count(done.messages, "message")} are answered now.`,
      );
    const pause = () =>
      act(
        () => post(`${path}/pause`, {}, { seconds: seconds.value }),
        (done) => `Majlis is silent here until ${moment(done.until)}.`,
      );
    const resume = () => act(() => post(`${path}/resume`), "Majlis answers here again.");
    return [
      button("Answer now", "send", waits, flush),
      button("Resume", "play", silent || ["parked", "holding"].includes(view.state), resume),
      h("span.joined", {}, button("Pause", "pause", true, pause), seconds),
    ];
  }

  async function act(action, said) {
    await attempt(action, said);
    again();
  }
}

function windowOf(label) {
  return store.top?.rows.find((row) => row.conversation === label)?.window_seconds ?? 0;
}

function facts(view) {
  const owner = view.epoch === null ? "another daemon acts for it" : `epoch ${view.epoch}`;
  const tries = view.tries ? `, ${count(view.tries, "failed try", "failed tries")}` : "";
  return [h("code", {}, view.conversation), ` · partition ${view.partition}, ${owner}${tries}`];
}

function silence(view) {
  const { taken_over: taken, escalated } = view;
  return [
    taken
      ? h(
          "p.alert.pause",
          {},
          icon("person"),
          h(
            "span",
            {},
            h("strong", {}, `Majlis is silent here until ${moment(taken.until)}.`),
            " A person writes in this chat, or an operator paused it.",
          ),
        )
      : null,
    escalated
      ? h(
          "p.alert.warn",
          {},
          icon("person"),
          h(
            "span",
            {},
            h("strong", {}, `A person is wanted since ${moment(escalated.since)}.`),
            escalated.why ? ` Why: ${why(escalated.why)}.` : "",
          ),
        )
      : null,
  ];
}

function past(turn, parts) {
  const replies = turn.parts.map((part) => textOf(parts.get(`${turn.id} ${part.number}`) ?? part.text));
  const words = turn.rule ? h("p.quiet", {}, rule(turn.rule)) : null;
  return h(
    "li.past-turn",
    {},
    h(
      "p.past-head",
      {},
      h("a", { href: beside("turn", turn.id) }, `Turn ${turn.id}`),
      h("span.turn-state", { class: `turn-state of-${turn.state}` }, TURN_STATES[turn.state]),
      h("span.quiet", {}, `${count(turn.messages, "message")}, ${moment(turn.started_at)}`),
    ),
    words,
    replies,
  );
}

// The playground: write as a customer, and watch the burst being collected and answered.

import { ApiError } from "./api.js";
import { BurstLine } from "./burst.js";
import { Chat, tickLegend } from "./chat.js";
import { composer } from "./composer.js";
import { bdi, fill, fillWhen, h, option } from "./dom.js";
import { number, setting } from "./format.js";
import { icon } from "./icons.js";
import { storage } from "./storage.js";
import { ChatSession } from "./chat_session.js";
import { beside } from "./router.js";
import { Stages } from "./stages.js";
import { store } from "./store.js";
import { withToast } from "./feedback.js";
import { spansOf, traceChart } from "./trace.js";

const PAUSE_MS = 900;
const BURSTS = [
  ["In English", ["Hi!", "Do you have Ajwa dates?", "And how much is one kilo?"]],
  ["بالعربية", ["السلام عليكم", "عندكم تمر عجوة؟", "وبكم الكيلو؟"]],
  ["Mixed", ["Order 1042 لم يصل بعد", "متى يصل الـ delivery؟"]],
];

const KEY = "majlis.playground";

let instance = null;

export function playground(root, signal) {
  if (!store.session.playground)
    return void fill(
      root,
      h("p.empty-line", {}, "The playground is disabled on this daemon: see dashboard.playground in its config.yaml."),
    );
  if (!store.may("operate"))
    return void fill(root, h("p.empty-line", {}, "The playground needs access level operate; yours is read."));
  if (!store.session.instances.length)
    return void fill(
      root,
      h(
        "p.empty-line",
        {},
        "There are no instances yet: ",
        h("a", { href: "#/instances" }, "add one"),
        ".",
      ),
    );
  instance ??= storage.get(KEY);
  if (!store.session.instances.includes(instance)) instance = store.session.instances[0];
  const visit = { room: null };
  const chat = new Chat((message) => visit.room.send(message));
  const line = new BurstLine(
    () => withToast(() => visit.room.flush(), "The window is closed: the messages are answered now."),
    signal,
  );
  const stages = new Stages();
  const welcome = h("div.welcome");
  const problem = h("p.banner.error", { role: "alert", hidden: true });
  const trace = h("div");
  const writer = composer((text) => visit.room?.write(text));
  const who = h("bdi.phone-who", { dir: "ltr" });
  const newCustomer = h("button.button", { type: "button", onclick: () => open(true) }, "New customer");
  fill(
    root,
    h("h1.visually-hidden", {}, "Playground"),
    h(
      "div.play",
      {},
      h(
        "section.phone",
        { "aria-label": "Chat as a customer" },
        h(
          "header.phone-head",
          {},
          h("span.avatar", {}, icon("person")),
          h("div", {}, h("span.quiet", {}, "You are writing as"), who),
          instances(),
          newCustomer,
        ),
        problem,
        h("div.phone-body", {}, welcome, chat.node),
        line.node,
        writer.node,
      ),
      h(
        "section.progress",
        { "aria-labelledby": "progress" },
        h("h2", { id: "progress" }, "What Majlis is doing"),
        stages.node,
        h("div.trace-place", {}, trace),
      ),
    ),
  );
  open(false);

  function instances() {
    const options = store.session.instances.map((name) =>
      option(name, name, name === instance),
    );
    const change = (event) => {
      instance = event.target.value;
      storage.set(KEY, instance);
      open(false);
    };
    return h(
      "label.chooser",
      {},
      h("span", {}, "to"),
      h("select", { "aria-label": "Instance", onchange: change }, options),
    );
  }

  async function open(fresh) {
    visit.ended?.abort();
    visit.ended = new AbortController();
    signal.addEventListener("abort", () => visit.ended.abort());
    const room = new ChatSession(instance, visit.ended.signal);
    visit.room = room;
    writer.enable(false);
    try {
      await room.open(fresh);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.hidden = false;
      return void fill(
        problem,
        icon("warn"),
        h("span", {}, error.message),
        h("button.button", { type: "button", onclick: () => open(fresh) }, "Try again"),
      );
    }
    if (visit.room !== room || signal.aborted) return;
    problem.hidden = true;
    room.addEventListener("change", () => visit.room === room && draw(room), { signal });
    draw(room);
    writer.enable(true);
  }

  function draw(room) {
    who.textContent = numberWords(room.contact);
    welcome.hidden = room.messages.length > 0;
    chat.node.hidden = !room.messages.length;
    fillWhen(welcome, [room.label, room.windowSeconds, room.windowFrom, room.maxMessages], () => intro(room));
    chat.update(room);
    line.update(room);
    stages.update(room);
    const { turn } = room;
    fillWhen(trace, [turn?.id ?? 0, turn?.end ?? "", Boolean(turn?.detail), turn?.sends.length ?? 0], () =>
      traceOf(room),
    );
  }

  function intro(room) {
    return [
      h("h2", {}, "Write as a customer would"),
      h(
        "p",
        {},
        "People write in bursts: a greeting, a question, an afterthought. ",
        "Majlis collects the burst and answers it once.",
      ),
      h(
        "ol.intro-steps",
        {},
        h("li", {}, "Send two or three short messages, quickly."),
        h(
          "li",
          {},
          `Watch the ring: it runs for ${setting(room.windowSeconds)} from your ${room.windowFrom} message. `,
          `The ${ordinal(room.maxMessages)} message would close the window at once.`,
        ),
        h("li", {}, "You get one reply to all of them."),
      ),
      tickLegend(),
      h("p.intro-more", {}, "Or send an example:"),
      h(
        "div.row",
        {},
        BURSTS.map(([name, texts]) =>
          h("button.button", { type: "button", onclick: () => sendExample(room, texts) }, bdi(name)),
        ),
      ),
    ];
  }

  async function sendExample(room, texts) {
    for (const text of texts) {
      if (visit.room !== room || signal.aborted) return;
      await room.write(text);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  function traceOf(room) {
    const { turn } = room;
    if (!turn?.detail)
      return [
        h(
          "p.empty-line",
          {},
          "The trace of the answer appears here when it is done: how long each step took, in milliseconds.",
        ),
      ];
    const first = turn.detail.messages[0];
    return [
      traceChart(spansOf(turn.detail, turn)),
      h(
        "div.row",
        {},
        first
          ? h(
              "a.button",
              { href: beside("explain", first.id, room.instance) },
              icon("link"),
              "Explain this message",
            )
          : null,
        h("a.button.quiet", { href: beside("turn", turn.id) }, `Turn ${turn.id}`),
      ),
    ];
  }
}

const ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const ordinal = (place) => ORDINALS[place] ?? `${number(place)}th`;

/** `+999 123 456 789 012`: a number that does not exist. */
function numberWords(contact) {
  const digits = contact.replace(/\D/g, "");
  return `+${digits.slice(0, 3)} ${digits.slice(3).replace(/(\d{3})(?=\d)/g, "$1 ")}`;
}

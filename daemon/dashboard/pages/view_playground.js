// The playground: write as a customer, and see the burst being heard out and answered.

import { ApiError } from "./api.js";
import { BurstLine } from "./burst.js";
import { Chat, tickLegend } from "./chat.js";
import { composer } from "./composer.js";
import { bdi, fill, fillWhen, h } from "./dom.js";
import { setting } from "./format.js";
import { icon } from "./icons.js";
import { kept } from "./kept.js";
import { Room } from "./room.js";
import { beside } from "./router.js";
import { Stages } from "./stages.js";
import { store } from "./store.js";
import { attempt } from "./talk.js";
import { spansOf, waterfall } from "./waterfall.js";

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
      h("p.empty-line", {}, "The playground is off on this daemon: see dashboard.playground in its config.yaml."),
    );
  if (!store.may("operate"))
    return void fill(root, h("p.empty-line", {}, "The playground needs level operate, and your link has level read."));
  if (!store.session.instances.length)
    return void fill(
      root,
      h(
        "p.empty-line",
        {},
        "No instance is declared yet: add one under instances in config.yaml, and start the daemon anew.",
      ),
    );
  instance ??= kept.get(KEY);
  if (!store.session.instances.includes(instance)) instance = store.session.instances[0];
  const visit = { room: null };
  const chat = new Chat((message) => visit.room.send(message));
  const line = new BurstLine(
    () => attempt(() => visit.room.flush(), "The window is closed: the answer comes now."),
    signal,
  );
  const stages = new Stages();
  const hello = h("div.hello");
  const trouble = h("p.alert.ill", { role: "alert", hidden: true });
  const fall = h("div");
  const writer = composer((text) => visit.room?.write(text));
  const who = h("bdi.phone-who");
  const anew = h("button.button", { type: "button", onclick: () => open(true) }, "New customer");
  fill(
    root,
    h("h1.unseen", {}, "Playground"),
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
          h("div", {}, h("span.quiet", {}, "You write as"), who),
          instances(),
          anew,
        ),
        trouble,
        h("div.phone-body", {}, hello, chat.node),
        line.node,
        writer.node,
      ),
      h(
        "section.behind",
        { "aria-labelledby": "behind" },
        h("h2", { id: "behind" }, "What Majlis does"),
        stages.node,
        h("div.fall-place", {}, fall),
      ),
    ),
  );
  open(false);

  function instances() {
    const options = store.session.instances.map((name) =>
      h("option", { value: name, selected: name === instance }, name),
    );
    const change = (event) => {
      instance = event.target.value;
      kept.set(KEY, instance);
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
    const room = new Room(instance, visit.ended.signal);
    visit.room = room;
    writer.enable(false);
    try {
      await room.open(fresh);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      trouble.hidden = false;
      return void fill(
        trouble,
        icon("warn"),
        h("span", {}, error.message),
        h("button.button", { type: "button", onclick: () => open(fresh) }, "Try again"),
      );
    }
    if (visit.room !== room || signal.aborted) return;
    trouble.hidden = true;
    room.addEventListener("change", () => visit.room === room && draw(room), { signal });
    draw(room);
    writer.enable(true);
  }

  function draw(room) {
    who.textContent = numberWords(room.contact);
    hello.hidden = room.messages.length > 0;
    chat.node.hidden = !room.messages.length;
    fillWhen(hello, [room.label, room.windowSeconds, room.maxMessages], () => teach(room));
    chat.update(room);
    line.update(room);
    stages.update(room);
    const { turn } = room;
    fillWhen(fall, [turn?.id ?? 0, turn?.end ?? "", Boolean(turn?.detail), turn?.sends.length ?? 0], () =>
      fallOf(room),
    );
  }

  function teach(room) {
    return [
      h("h2", {}, "Write as a customer would"),
      h(
        "p",
        {},
        "People write in bursts: a greeting, a question, an afterthought. ",
        "Majlis hears the burst out and answers it once.",
      ),
      h(
        "ol.teach-steps",
        {},
        h("li", {}, "Write two or three short messages, quickly."),
        h(
          "li",
          {},
          `Watch the ring: it runs for ${setting(room.windowSeconds)} from your first message. `,
          `The ${ordinal(room.maxMessages)} message would end it at once.`,
        ),
        h("li", {}, "One reply comes, to all of them."),
      ),
      tickLegend(),
      h("p.teach-more", {}, "Or let one be written for you:"),
      h(
        "div.row",
        {},
        BURSTS.map(([name, texts]) =>
          h("button.button", { type: "button", onclick: () => recite(room, texts) }, bdi(name)),
        ),
      ),
    ];
  }

  async function recite(room, texts) {
    for (const text of texts) {
      if (visit.room !== room || signal.aborted) return;
      await room.write(text);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  function fallOf(room) {
    const { turn } = room;
    if (!turn?.detail)
      return [
        h(
          "p.empty-line",
          {},
          "The waterfall of the answer stands here when it is done: who took how long, in milliseconds.",
        ),
      ];
    const first = turn.detail.messages[0];
    return [
      waterfall(spansOf(turn.detail, turn)),
      h(
        "div.row",
        {},
        first
          ? h(
              "a.button",
              { href: beside("explain", first.id, room.instance) },
              icon("link"),
              "Explain this message's life",
            )
          : null,
        h("a.button.quiet", { href: beside("turn", turn.id) }, `Turn ${turn.id}`),
      ),
    ];
  }
}

const ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const ordinal = (number) => ORDINALS[number] ?? `${number}th`;

/** `+999 123 456 789 012`: nobody's number. */
function numberWords(contact) {
  const digits = contact.replace(/\D/g, "");
  return `+${digits.slice(0, 3)} ${digits.slice(3).replace(/(\d{3})(?=\d)/g, "$1 ")}`;
}

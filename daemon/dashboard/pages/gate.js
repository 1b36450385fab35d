// Before the page: who may come in, and how to get a link. Shown for no session, a used link, and a session that ended.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { tokenOf } from "./router.js";

const COMMAND = "majlis dashboard";
const PORT = location.port || 80;

const WORDS = {
  none: [
    "Sign in with a link",
    "This page shows what customers write and lets you steer their conversations. So it opens with a one-time link.",
  ],
  used: ["This link does not open the page", ""],
  ended: [
    "Your session is over",
    "Sessions end when the daemon is started anew, and after some hours. Sign in again with a new link.",
  ],
  away: ["The daemon does not answer", "This page is served by the daemon itself. Start it, then try again."],
};

/** Show the gate in `root`. `entered` is called after a link was pasted and taken. */
export function gate(root, kind, detail, entered) {
  const [title, about] = WORDS[kind];
  const said = h("p.gate-said", { role: "alert" }, kind === "used" || kind === "away" ? detail : "");
  fill(
    root,
    h(
      "main.gate",
      { tabindex: "-1", "aria-labelledby": "gate-title" },
      h("img.gate-mark", { src: "/static/favicon.svg", alt: "", width: 56, height: 56 }),
      h("h1", { id: "gate-title" }, title),
      about ? h("p.gate-about", {}, about) : null,
      said,
      kind === "away" ? again() : steps(said, entered),
    ),
  );
  root.querySelector("main").focus({ preventScroll: true });
}

function again() {
  return h("button.button.strong", { type: "button", onclick: () => location.reload() }, icon("retry"), "Try again");
}

function steps(said, entered) {
  const input = h("input", {
    id: "gate-link",
    name: "link",
    type: "text",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: `${location.origin}/#login=…`,
  });
  const enter = async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      await post("/session", { token: tokenOf(input.value) });
      entered();
    } catch (error) {
      said.textContent = error.message;
      input.select();
    }
  };
  return h(
    "ol.gate-steps",
    {},
    h("li", {}, h("span", {}, "On the machine where Majlis runs, type"), command(COMMAND)),
    h(
      "li",
      {},
      h("span", {}, "Open the link that it prints, or paste it here."),
      h(
        "form.gate-form",
        { onsubmit: enter },
        h("label.unseen", { for: "gate-link" }, "Login link"),
        input,
        h("button.button.strong", { type: "submit" }, "Sign in"),
      ),
    ),
    h(
      "li.gate-far",
      {},
      h("span", {}, "Majlis runs on another machine? First, here:"),
      command(`ssh -L ${PORT}:127.0.0.1:${PORT} your-server`),
    ),
  );
}

function command(text) {
  const button = h(
    "button.button.quiet",
    { type: "button", "aria-label": `Copy: ${text}`, onclick: copy },
    icon("copy"),
  );
  return h("span.command", {}, h("code", {}, text), button);

  async function copy() {
    await navigator.clipboard?.writeText(text);
    fill(button, icon("check"));
    setTimeout(() => fill(button, icon("copy")), 1_500);
  }
}

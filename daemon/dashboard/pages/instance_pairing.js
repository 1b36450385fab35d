// The QR code that pairs the instance's phone, for level admin, renewed while it is shown.

import { ApiError, get } from "./api.js";
import { bdi, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { statusLine } from "./status_line.js";

const LOOK_MS = 4_000;
const NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"';

/** A button, and then the code until the phone is connected, when `paired()` is called, or the page is left. */
export function pairing(page, paired) {
  const place = h("div.pairing");
  let timer = 0;
  page.signal.addEventListener("abort", () => clearTimeout(timer));
  const button = h("button.button", { type: "button", onclick: look }, icon("instances"), "Show the QR code");
  fill(place, button);
  return place;

  async function look() {
    clearTimeout(timer);
    const view = await get(`${page.path}/qr`).catch((error) => error);
    if (page.signal.aborted || !place.isConnected) return;
    if (view instanceof Error) {
      if (!(view instanceof ApiError)) throw view;
      return void fill(place, statusLine(false, view.message), button);
    }
    if (view.phone === "open") return void paired();
    fill(place, code(view));
    timer = setTimeout(look, LOOK_MS);
  }
}

function code(view) {
  if (!view.svg) return h("p.quiet", {}, "The gateway has no code yet …");
  return [
    h("img.qr", { src: pictureOf(view.svg), alt: "QR code to pair the phone", width: 264, height: 264 }),
    h("p", {}, "On the phone: WhatsApp, Linked devices, Link a device. The code is renewed here by itself."),
    view.pairing_code ? h("p", {}, "Or type this code there: ", h("strong", {}, bdi(view.pairing_code))) : null,
  ];
}

/** As a picture: a drawing that comes from a server is never part of the page itself. */
function pictureOf(svg) {
  const whole = svg.includes("xmlns=") ? svg : svg.replace("<svg", `<svg ${NAMESPACE}`);
  return `data:image/svg+xml,${encodeURIComponent(whole)}`;
}

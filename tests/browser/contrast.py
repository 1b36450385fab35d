"""The WCAG contrast of each text on a page with its background."""

from __future__ import annotations

from playwright.sync_api import Page

ENOUGH = 4.5
ENOUGH_WHEN_LARGE = 3.0

_FAINT = """
([enough, enoughWhenLarge]) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const behind = (node) => {
    if (!node) return rgba(getComputedStyle(document.documentElement).backgroundColor);
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(node.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  let seen = 0;
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
    const text = own.map((one) => one.data.trim()).join("");
    if (!text || !node.checkVisibility({visibilityProperty: true})) continue;
    if (node.closest(":disabled, option, .unseen, .skip")) continue;
    seen += 1;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const [one, other] = [light(over(rgba(style.color), ground)), light(ground)].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast >= (large ? enoughWhenLarge : enough)) continue;
    faint.push(`${contrast.toFixed(2)} ${node.className}: ${text.slice(0, 40)}`);
  }
  return {faint, seen};
}
"""


def faint_texts(page: Page) -> list[str]:
    """Every visible text with too little contrast, except in disabled controls; fails on a page without texts."""
    found = page.evaluate(_FAINT, [ENOUGH, ENOUGH_WHEN_LARGE])
    assert found["seen"] > 10, "this page has no texts"
    return [str(one) for one in found["faint"]]

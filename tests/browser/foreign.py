"""Finds what others wrote and the page did not isolate: it would reorder the page's own words around it."""

from __future__ import annotations

from playwright.sync_api import Page

_BARE = """
() => {
  const foreign = /[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc]/;
  const own = /[A-Za-z]{2}/;
  const bare = [];
  let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    if (!foreign.test(text.data)) continue;
    seen += 1;
    const isolating = text.parentElement.closest("bdi, [dir='auto']");
    if (!isolating) bare.push(text.data);
  }
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      const said = node.getAttribute(name) ?? "";
      const rest = said.replace(/\\u2068[^\\u2068\\u2069]*\\u2069/g, "");
      if (foreign.test(rest) && own.test(rest)) bare.push(`${name}: ${said}`);
    }
  for (const node of document.querySelectorAll("input, textarea"))
    if (foreign.test(node.value) && node.dir !== "auto") bare.push(`field: ${node.value}`);
  return {bare, seen, digits: document.body.innerText.match(/[\\u0660-\\u0669\\u06f0-\\u06f9]+/g) ?? []};
}
"""


def bare_texts(page: Page, least: int = 1) -> list[str]:
    """Every text with right-to-left letters that nothing isolates, and digits of another language.

    Fails on a page that shows less than `least` foreign texts: it would prove nothing.
    """
    found = page.evaluate(_BARE)
    assert found["seen"] >= least, f"this page shows {found['seen']} foreign texts"
    return [*map(str, found["bare"]), *(f"digits: {one}" for one in found["digits"])]

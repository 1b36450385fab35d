"""The playground as a new user meets it: in Latin and Arabic text, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.acceptance.harness import DaemonUnderTest, Said, Tree, daemon_under_test
from tests.browser.visitor import Visitor, settings

WINDOWS: dict[str, Tree] = {
    # Long enough for somebody to type on a busy machine, and to see it run down.
    "demo": {"window_seconds": 12},
    # Four messages are one burst, however slowly they are typed.
    "arabic": {"window_seconds": 600, "max_messages": 4},
    "acme": {"window_seconds": 0.6},
}
HOSTILE = '<img src=x onerror="window.hacked = true"><script>window.hacked = true</script>'
VIEWS = ("live", "instances", "playground", "dead", "events", "health")


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    declared = {name: {"batching": batching} for name, batching in WINDOWS.items()}
    with daemon_under_test(settings({"instances": declared})) as daemon:
        yield daemon


def test_three_messages_get_one_reply(visitor: Visitor) -> None:
    """Each gets its ticks, the ring runs down, and the answer is shown with its stages, trace and history."""
    page = visitor.opens(view="playground")
    page.get_by_label("Instance").select_option("demo")
    expect(page.get_by_role("heading", name="Write as a customer would")).to_be_visible()
    for text in ("Hi", "Do you have dates?", "How much is one kilo?"):
        _write(page, text)
    expect(page.locator('.from-customer[data-state="acknowledged"]')).to_have_count(3)
    burst = page.locator(".burst")
    expect(burst).to_contain_text("3 of 5 messages, answers in")
    _runs_down(page, burst.get_by_role("timer"))

    reply = page.locator(".from-majlis")
    expect(reply).to_have_count(1)
    expect(reply).to_contain_text("Heard 3: Hi")
    expect(page.locator('.from-customer[data-state="answered"]')).to_have_count(3)
    expect(page.locator(".stage.done")).to_have_count(5)
    expect(burst).to_contain_text("3 messages, one answer")
    steps = page.get_by_role("table", name="Steps of the turn")
    expect(steps.get_by_role("row").filter(has_text="rehearsal")).to_contain_text("ms")
    expect(steps.get_by_role("row").filter(has_text="message 1")).to_have_count(1)

    page.get_by_role("link", name="Explain this message").click()
    life = page.get_by_role("dialog", name="Message history")
    expect(life.locator(".history-step strong")).to_contain_text(
        ["arrived", "window closed", "reply stored", "done"]
    )
    expect(life.locator(".message")).to_contain_text("Hi")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{visitor.address}/#/playground")
    page.reload()
    expect(page.locator(".bubble")).to_have_count(4)
    page.get_by_role("button", name="New customer").click()
    expect(page.locator(".bubble")).to_have_count(0)


def test_every_message_has_its_own_direction(visitor: Visitor) -> None:
    page = visitor.opens(view="playground")
    page.get_by_label("Instance").select_option("arabic")
    texts = {
        "عندكم تمر عجوة؟": "rtl",
        "Do you deliver?": "ltr",
        "متى يصل الـ delivery؟": "rtl",
        "Order 12 لم يصل": "ltr",
    }
    box = page.get_by_label("Message", exact=True)
    for text, direction in texts.items():
        box.fill(text)
        assert _style(box, "direction") == direction
        box.press("Enter")
        said = page.locator(".from-customer").filter(has_text=text).locator(".message-text bdi")
        expect(said).to_have_text(text)
        assert (_style(said, "direction"), _style(said, "unicode-bidi")) == (direction, "isolate")
        letters = said.evaluate(
            "node => { const all = document.createRange(); all.selectNodeContents(node);"
            " const [box, text] = [node.getBoundingClientRect(), all.getBoundingClientRect()];"
            " return {start: Math.abs(box.left - text.left), end: Math.abs(box.right - text.right)}; }"
        )
        assert letters["end" if direction == "rtl" else "start"] < 1
    reply = page.locator(".from-majlis .message-text bdi")
    expect(reply.last).to_be_visible()
    directions = [_style(line, "direction") for line in reply.all()]
    assert directions == ["ltr", "ltr", "rtl", "ltr"]  # its first line begins with `Heard 4:`


def test_messages_arrive_in_the_order_in_which_they_were_written(visitor: Visitor) -> None:
    """I4. Each waits until the daemon has the one before it."""
    texts = ["first", "second", "third", "fourth"]
    page = visitor.opens(view="playground")
    page.get_by_label("Instance").select_option("arabic")
    held: list[Route] = []

    def carry(route: Route) -> None:
        if route.request.method == "POST" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/playground", carry)
    for text in texts:
        _write(page, text)
    expect(page.locator(".from-customer")).to_have_count(len(texts))
    held[0].continue_()
    expect(page.locator(".from-majlis")).to_contain_text("Heard 4: first")
    page.reload()
    expect(page.locator(".from-customer .message-text")).to_have_text(texts)


def test_customer_texts_are_never_markup(visitor: Visitor, daemon: DaemonUnderTest) -> None:
    """Neither in the playground nor where an operator reveals what a real customer wrote."""
    page = visitor.opens(view="playground")
    _write(page, HOSTILE)
    expect(page.locator(".from-customer .message-text")).to_have_text(HOSTILE)
    expect(page.locator(".from-majlis .message-text")).to_contain_text(HOSTILE)

    daemon.burst(Said("acme", "966511111111", HOSTILE, "<b>id</b>"))
    daemon.wait_settled()
    label = daemon.show("acme", "966511111111")["conversation"]
    visitor.goes(page, f"live/conversation/{label}")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("characters, hidden")).to_be_visible()
    drawer.get_by_role("button", name="Reveal").click()
    expect(drawer.locator(".message-text")).to_contain_text(HOSTILE)
    visitor.goes(page, "live/explain/%3Cb%3Eid%3C%2Fb%3E")
    expect(drawer.locator("code").first).to_have_text("<b>id</b>")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#root img[src='x'], dialog img").count() == 0


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_is_wider_than_the_screen(visitor: Visitor, daemon: DaemonUnderTest, width: int) -> None:
    page = visitor.opens(width=width, height=760, view="playground")
    _write(page, "https://example.com/" + "without-a-place-to-break" * 12)
    expect(page.locator(".from-majlis")).to_have_count(1)
    daemon.burst(Said("demo", f"9665222{width}", "hello", f"width-{width}"))
    for view in VIEWS:
        visitor.goes(page, view)
        if view == "live":
            expect(page.locator(".card")).to_have_count(1)
        _fits(page, width)
    daemon.wait_settled()  # no other turn comes above the one that is chosen
    visitor.goes(page, "live")
    page.locator(".turn").first.click()
    page.get_by_role("link", name="Full turn").click()
    expect(page.get_by_role("dialog").get_by_role("table")).to_be_visible()
    _fits(page, width)


def _write(page: Page, text: str) -> None:
    box = page.get_by_label("Message", exact=True)
    box.fill(text)
    box.press("Enter")


def _runs_down(page: Page, ring: Locator) -> None:
    """Its number decreases, and so does the drawn rest of the ring."""
    bar = ring.locator(".ring-bar")
    began = float(ring.inner_text()), float(_style(bar, "stroke-dashoffset").removesuffix("px"))
    page.wait_for_function(
        "([ring, figure]) => parseFloat(ring.textContent) < figure - 0.3",
        arg=[ring.element_handle(), began[0]],
    )
    assert float(_style(bar, "stroke-dashoffset").removesuffix("px")) > began[1]


def _style(node: Locator, name: str) -> str:
    return str(node.evaluate("(node, name) => getComputedStyle(node).getPropertyValue(name)", name))


def _fits(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "width => [...document.querySelectorAll('dialog[open], main')].filter(node => node.scrollWidth > width)"
        ".map(node => node.className)",
        width,
    )
    assert wide == []

"""What an operator does with the dashboard: sees what waits and why, fixes it, and can read all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution, openai
from tests.browser.contrast import faint_texts
from tests.browser.visitor import Visitor, settings
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI

SHOWN_CARDS = 60
MANY = 75
ARABIC = "مطعم-الياسمين"
_SETTINGS = settings(
    {
        "instances": {"demo": {}, "busy": {}, "slow": {"batching": {"window_seconds": 600}}},
        "turn": {"backoff_seconds": [0.1, 0.1, 0.1]},
        "responder": {"breaker_failures": 100},
        "monitor": {"every_seconds": 0.5, "raise_seconds": 0, "clear_seconds": 0, "queue_depth": MANY - 10},
    }
)


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(_SETTINGS, evolution(gateway), openai(model), _SETTINGS) as daemon:
        yield daemon


def test_a_dead_letter_is_retried_to_an_answer(
    visitor: Visitor, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    model.order("status", 6, lambda text: "broken" in text, status=500)
    for phone in ("966533330001", "966533330002"):
        daemon.burst(Said("demo", phone, "broken, please", f"dead-{phone}"))
    page = visitor.opens(view="dead")
    letters = page.locator(".dead-letter")
    expect(letters).to_have_count(2)
    first = letters.filter(has_text="…01")
    expect(first).to_contain_text("The provider failed with an error of its own")
    expect(first).to_contain_text("after 3 attempts")
    expect(page.locator(".nav-link", has_text="Dead letters").locator(".badge")).to_have_text("2")

    first.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="queued to be answered")).to_be_visible()
    expect(letters).to_have_count(1)
    daemon.wait_for(lambda: gateway.texts("966533330001"), "the answer arrives")

    letters.get_by_role("button", name="Drop").click()
    question = page.get_by_role("dialog", name="Drop dead letter")
    question.get_by_role("button", name="Cancel").click()
    expect(letters).to_have_count(1)
    letters.get_by_role("button", name="Drop").click()
    question.get_by_role("button", name="Drop").click()
    expect(page.get_by_text("No open dead letters")).to_be_visible()
    assert not gateway.texts("966533330002")


def test_an_alert_is_raised_and_cleared(
    visitor: Visitor, daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """A paused instance fills up: its cards say why they are holding, and how many more there are."""
    assert daemon.request("POST", "/hook/busy", b"{}").status == 404
    page = visitor.opens(view="health")
    lost = page.locator(".raised-alert").filter(has_text="1 webhook refused for good: no such route")
    expect(lost).to_contain_text("it must end in /webhook/<instance>.")
    page.get_by_label("Instance to pause").select_option("busy")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Instance busy is paused until it is resumed.").first).to_be_visible()
    daemon.post_all(
        [Said("busy", f"96654444{number:04d}", "hello", f"busy-{number}") for number in range(MANY)]
    )

    raised = page.locator(".raised-alert")
    expect(raised.filter(has_text="Too many messages are waiting")).to_contain_text(
        f"Now {MANY}, threshold {MANY - 10}"
    )
    targets = page.locator("section.targets")
    expect(targets).to_contain_text("Messages in a minute: too little traffic to say.")
    visitor.goes(page, "live")
    expect(page.locator(".banner.alert").filter(has_text="Too many messages are waiting")).to_be_visible()
    cards = page.locator(".card")
    expect(cards).to_have_count(SHOWN_CARDS)
    expect(page.get_by_text(f"and {MANY - SHOWN_CARDS} more")).to_be_visible()
    expect(cards.filter(has_text="Holding: paused by an operator")).to_have_count(SHOWN_CARDS)
    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(MANY)

    visitor.goes(page, "health")
    page.get_by_role("button", name="Resume").click()
    expect(raised.filter(has_text="Too many messages are waiting")).to_have_count(0)
    visitor.goes(page, "live")
    expect(page.locator(".banner").filter(has_text="Too many messages are waiting")).to_have_count(0)
    daemon.wait_settled()
    assert all(gateway.texts(f"96654444{number:04d}") for number in range(MANY))


def test_an_open_window_is_shown_and_flushed(
    visitor: Visitor, daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    daemon.burst(*(Said("slow", "966555550001", f"part {number}", f"slow-{number}") for number in range(2)))
    page = visitor.opens()
    card = page.locator(".card")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("Waiting: answers in 9 min")
    expect(card).to_contain_text("…01")
    card.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="slow …01")
    expect(drawer.locator(".message")).to_have_count(2)
    expect(drawer.locator(".masked").first).to_have_text("6 characters, hidden")
    drawer.get_by_role("button", name="Answer now").click()
    expect(page.get_by_text("The window is closed: 2 messages will be answered now.")).to_be_visible()
    expect(drawer.locator(".past-turn")).to_contain_text("answered")
    drawer.get_by_role("button", name="Take over").click()
    silent = drawer.locator(".banner", has_text="Taken over by a person until")
    expect(silent).to_be_visible()
    drawer.get_by_role("button", name="Hand back").click()
    expect(silent).to_have_count(0)
    assert len(gateway.texts("966555550001")) == 1


def test_events_are_followed_filtered_and_paused(visitor: Visitor, daemon: DaemonUnderTest) -> None:
    page = visitor.opens(view="events")
    expect(page.get_by_role("status").filter(has_text="Live; the latest")).to_be_visible()
    page.locator(".chip", has_text="turn").click()
    expect(page.get_by_role("status").filter(has_text="Live; the latest")).to_be_visible()
    daemon.burst(Said("demo", "966566660001", "hello", "events-1"))
    names = page.locator(".event-name")
    expect(names.filter(has_text="turn.done")).not_to_have_count(0)
    daemon.wait_settled()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Continue").wait_for()
    assert all("turn." in name for name in names.all_inner_texts())
    shown = names.count()
    daemon.burst(Said("demo", "966566660001", "hello again", "events-2"))
    expect(page.get_by_role("status").filter(has_text="events waiting")).to_be_visible()
    assert names.count() == shown
    page.get_by_role("button", name="Continue").click()
    expect(names).not_to_have_count(shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(
    visitor: Visitor, daemon: DaemonUnderTest, model: FakeOpenAI, scheme: str
) -> None:
    """WCAG AA, in both colour schemes, with a dead letter, a holding and a waiting conversation, and a chat; and with
    all that the health page may have to say while the daemon stops."""
    model.order("status", 3, lambda text: "broken" in text, status=500)
    daemon.admin("/v1/instances/busy/pause", post=True)
    daemon.burst(
        Said("demo", "966577770001", f"broken {scheme}", f"{scheme}-1"),
        Said("busy", "966577770002", "hello", f"{scheme}-2"),
        Said("slow", "966577770003", "hello", f"{scheme}-3"),
    )
    page = visitor.opens(scheme=scheme, view="playground")
    faint = {"hello": faint_texts(page)}
    _chat(page)
    for view, sign in (
        ("playground", ".from-majlis"),
        ("live", ".card.is-holding"),
        ("dead", ".dead-letter"),
        ("events", ".event"),
        ("health", ".status-line.warn"),
    ):
        if view == "health":
            page.route("**/v1/status", _with_findings)
        visitor.goes(page, view)
        if view == "events":
            expect(page.get_by_role("status").filter(has_text="Live; the latest")).to_be_visible()
            daemon.burst(Said("demo", "966577770004", f"hello {scheme}", f"{scheme}-4"))
        page.locator(sign).first.wait_for()
        faint[view] = faint_texts(page)
    expect(page.get_by_text("Draining (SIGTERM): no new work is accepted.")).to_be_visible()
    sweep = page.locator(".status-line.warn", has_text="Sweep of 2 instances, the last compared 5 s ago.")
    expect(sweep).to_contain_text(f"1 too old to be answered. Not compared: {ARABIC} (it cannot be reached).")
    door = page.locator(".raised-alert.warn")
    expect(door.locator("strong")).to_have_text("Anyone can read it.")
    expect(door).to_contain_text("Set a token.")
    page.unroute("**/v1/status")
    visitor.goes(page, "live")
    # Of this instance alone windows stay open; another card may be answered and gone when it is clicked.
    page.locator(".card.is-waiting").filter(has_text="slow").filter(has_text="…03").click()
    page.get_by_role("dialog", name="slow …03").locator(".message").first.wait_for()
    faint["drawer"] = faint_texts(page)
    daemon.admin("/v1/instances/busy/resume", post=True)
    assert not any(faint.values()), faint


def _with_findings(route: Route) -> None:
    """The real status, and what it says of open doors, a sweep that lags, and a stop."""
    answer = route.fetch()
    swept = {
        "instances": 2,
        "last_done_seconds": 5,
        "found": {"too_old": 1},
        "behind": {ARABIC: "unreachable"},
    }
    found = {"warnings": ["anyone can read it. Set a token."], "sweep": swept, "stopping": "SIGTERM"}
    route.fulfill(response=answer, json={**answer.json(), **found})


def _chat(page: Page) -> None:
    page.get_by_label("Instance").select_option("demo")
    box = page.get_by_label("Message", exact=True)
    box.fill("Hello")
    box.press("Enter")
    page.locator(".from-majlis").wait_for()

"""Instances on the pages: set, given back; and an English page full of Arabic names.

Adding and connecting: `test_first_hour.py`, with a daemon that does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test
from tests.browser.contrast import faint_texts
from tests.browser.foreign import bare_texts
from tests.browser.tenants import Tenants
from tests.browser.visitor import Visitor, settings

SHOP = "مطعم-الياسمين"
CAFE = "مقهى السلام"
PROMPT = "أنت موظف استقبال في مطعم الياسمين.\nالتوصيل مجاني."
ARABIC_BROWSER = "ar-SA"  # its own digits are Arabic ones, its dates those of another calendar
_SETTINGS = settings(
    {
        "instances": {SHOP: {}, CAFE: {"batching": {"window_seconds": 600}}},
        "log": {"level": "info"},
    }
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    with daemon_under_test(_SETTINGS) as daemon:
        with ThreadPoolExecutor(1) as beside:  # in this thread the browser has a loop already
            beside.submit(daemon.rows, "UPDATE whatsapp_instances SET escalation_enabled = true").result()
        daemon.admin("/v1/reload", post=True)
        yield daemon


def opened(visitor: Visitor, view: str = "instances", **more: object) -> tuple[Page, Tenants]:
    """An English page in an Arabic browser."""
    page = visitor.opens(locale=ARABIC_BROWSER, **more)  # type: ignore[arg-type]
    tenants = Tenants(page)
    tenants.add(SHOP, {"prompt": PROMPT, "escalation.message": "سنرد عليك قريبا"})
    visitor.goes(page, view)
    return page, tenants


def test_a_setting_is_changed_refused_unset_and_brought_back(visitor: Visitor) -> None:
    """What the page shows afterwards is what the daemon says is in force."""
    visitor.expected = ("409",)
    page, tenants = opened(visitor, f"instances/{SHOP}")
    page.locator(".setting-group", has_text="When a person is asked for").locator("summary").click()
    threshold = page.locator(".setting", has_text="escalation.threshold")
    expect(threshold).to_contain_text("3")
    threshold.get_by_role("button", name="Edit escalation.threshold").press("Enter")
    box = page.get_by_label("escalation.threshold", exact=True)
    box.fill("0")
    box.press("Enter")
    expect(page.get_by_text("must be greater than or equal to 1")).to_be_visible()
    box.fill("5")
    page.get_by_label("Reason, for the history").fill("they asked")
    page.get_by_label("Reason, for the history").press("Enter")
    expect(threshold.locator(".setting-value")).to_have_text("5")
    expect(threshold).to_contain_text("majlis instance set, uid 0")
    assert tenants.asked[-1][1] == {"set": {"escalation.threshold": "5"}, "unset": [], "why": "they asked"}

    version = page.locator(".version")
    expect(version).to_have_count(2)
    expect(version.first.locator(".changes")).to_have_text("escalation.threshold not set → 5")
    threshold.get_by_role("button", name="Unset escalation.threshold").click()
    page.get_by_role("dialog").get_by_role("button", name="Unset").click()
    expect(threshold.locator(".setting-value")).to_have_text("3")

    version.nth(1).get_by_role("button", name="Back to this version").click()
    page.get_by_role("dialog", name="Bring").get_by_role("button", name="Bring it back").click()
    expect(threshold.locator(".setting-value")).to_have_text("5")
    expect(version).to_have_count(4)


def test_a_prompt_is_written_in_its_own_direction_and_its_lines_compared(visitor: Visitor) -> None:
    page, _ = opened(visitor, f"instances/{SHOP}")
    editor = page.get_by_label("What the model is told about the business")
    expect(editor).to_have_value(PROMPT)
    save = page.locator(".instance-prompt").get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    editor.fill(PROMPT.replace("مجاني", "بعشرة ريالات"))
    save.click()
    expect(page.get_by_text("The prompt is in force")).to_be_visible()
    expect(save).to_be_disabled()
    difference = page.locator(".version").first.locator(".difference")
    expect(difference.locator("del")).to_have_text("removed: التوصيل مجاني.")
    expect(difference.locator("ins")).to_have_text("added: التوصيل بعشرة ريالات.")
    assert not bare_texts(page, 6)


def test_a_mode_is_explained_and_asked_about(visitor: Visitor) -> None:
    page, tenants = opened(visitor, f"instances/{SHOP}")
    off = page.get_by_role("button", name="Off")
    off.click()
    question = page.get_by_role("dialog", name=f"Change {SHOP} to off?")
    expect(question).to_contain_text("What waits now ends by the rule off.")
    question.get_by_role("button", name="Cancel").click()
    assert tenants.asked == []
    off.click()
    question.get_by_role("button", name="Change to off").click()
    expect(page.locator(".instance-head .mode-off")).to_have_text("Off")
    tenants.all[SHOP].own["mode"] = "passthrough"
    tenants.forwards = [
        {
            **{"id": 7, "instance": SHOP, "state": "dead", "event": "messages.upsert", "size_bytes": 1_500},
            **{"heard_at": "2026-01-01T10:00:00.000Z", "tries": 12, "reason": "timed_out", "dead_at": None},
        }
    ]
    expect(page.get_by_text("1 webhook could not be forwarded (1.5 kB).")).to_be_visible()
    page.get_by_role("button", name="Forward them after all").click()
    expect(page.get_by_text("1 webhook waiting (900 B), the oldest for 1 min 1 s.")).to_be_visible()


@pytest.mark.parametrize(("level", "changes"), [("read", False), ("operate", True)])
def test_a_level_that_does_not_suffice_is_told_why(visitor: Visitor, level: str, changes: bool) -> None:
    page = visitor.opens(locale=ARABIC_BROWSER)

    def with_level(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "level": level})

    page.route("**/session", with_level)
    Tenants(page).add(SHOP, {"gateway.api_key": "k-1234567890"})
    page.goto(f"{visitor.address}/#/instances/{SHOP}")
    page.reload()
    expect(page.locator(".instance-connection .quiet", has_text="needs access level admin")).to_be_visible()
    expect(page.get_by_role("button", name="Connect …")).to_be_disabled()
    expect(page.get_by_role("button", name="Remove this instance")).to_be_disabled()
    page.locator(".setting-group", has_text="The gateway").locator("summary").click()
    key = page.locator(".setting", has_text="gateway.api_key")
    expect(key).to_contain_text("set, never shown")
    expect(key).to_contain_text("Changing this needs access level admin.")
    address = page.locator(".setting", has_text="gateway.base_url")
    expect(address.get_by_role("button")).to_have_count(int(changes))
    expect(page.get_by_role("button", name="Off")).to_be_enabled(enabled=changes)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_in_order_with_arabic_names_in_an_arabic_browser(
    visitor: Visitor, daemon: DaemonUnderTest, scheme: str, width: int
) -> None:
    """English words, digits and dates; each name, text and address isolated; nothing cut, nothing faint."""
    person = f"9665555{width:05d}"
    daemon.burst(Said(SHOP, person, "أريد التحدث مع a human please", f"ar-{width}"))
    daemon.wait_for(lambda: daemon.show(SHOP, person)["turns"], "it is escalated")
    daemon.burst(Said(CAFE, person, "السلام عليكم", f"ar-waits-{width}"))
    daemon.admin(f"/v1/instances/{quote(CAFE)}/pause", post=True)
    page, tenants = opened(visitor, "live", scheme=scheme, width=width)
    tenants.all[SHOP].held = f"the key of {SHOP} cannot be opened: it was sealed with another one"
    bare: dict[str, list[str]] = {}
    faint: dict[str, list[str]] = {}

    def look(view: str, least: int) -> None:
        bare[view], faint[view] = bare_texts(page, least), faint_texts(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        # A finger has no hover: only icons, which have a label as well, may have a name for a pointer.
        assert page.locator("[title]:not(.head [title])").count() == 0, view

    badge = page.locator(".turn .turn-state").first
    expect(badge).to_have_text("escalated")
    expect(page.locator(".card")).not_to_have_count(0)
    look("live", 3)
    for view, sign in (
        ("events", "h1"),
        ("health", ".session"),
        ("instances", ".instance"),
        (f"instances/{SHOP}", ".version"),
        ("playground", ".phone-who:not(:empty)"),
    ):
        visitor.goes(page, view)
        page.locator(sign).first.wait_for()
        look(view, 1)
    visitor.goes(page, "live")
    page.locator(".turn").first.click()
    page.get_by_role("link", name="Full turn").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".turn-state")).to_have_text("escalated")
    drawer.get_by_role("button", name="Reveal").click()
    expect(drawer.locator(".message-text").first).to_contain_text("أريد التحدث")
    look("turn", 2)
    at = drawer.locator(".pane-head .quiet").inner_text()
    assert re.fullmatch(
        r"(\w{3} \d+, \d{4}, )?\d\d:\d\d:\d\d, ended (\w{3} \d+, \d{4}, )?\d\d:\d\d:\d\d", at
    ), at
    drawer.get_by_role("link", name="Explain").click()
    expect(drawer.locator(".summary")).to_contain_text("Answered by rule escalated")
    look("explain", 2)
    daemon.admin(f"/v1/instances/{quote(CAFE)}/resume", post=True)
    assert not any(bare.values()), bare
    assert not any(faint.values()), faint

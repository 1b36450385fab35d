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

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.browser.contrast import faint_texts
from tests.browser.foreign import bare_texts
from tests.browser.tenants import Tenants
from tests.browser.visitor import Visitor, settings
from tests.support.gateway_server import FakeEvolution
from tests.support.payloads import NOW, upsert

SHOP = "مطعم-الياسمين"
CAFE = "مقهى السلام"
ROSES = "متجر الورد"
ADDED = "صيدلية الشفاء"
UNKNOWN = "مخبز الحي"
PROMPT = "أنت موظف استقبال في مطعم الياسمين.\nالتوصيل مجاني."
ARABIC_BROWSER = "ar-SA"  # its own digits are Arabic ones, its dates those of another calendar
_SETTINGS = settings(
    {
        "instances": {SHOP: {}, ROSES: {"mode": "shadow"}, CAFE: {"batching": {"window_seconds": 600}}},
        "log": {"level": "info"},
    }
)


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(_SETTINGS, evolution(gateway), _SETTINGS) as daemon:
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
    # A daemon that waits for a store is not one that is gone, and may do all the same what it was asked for.
    page.evaluate(
        "() => { AbortSignal.timeout = () => AbortSignal.abort(new DOMException('', 'TimeoutError')); }"
    )
    page.get_by_role("button", name="Live", exact=False).filter(has_text="Hears customers").click()
    page.get_by_role("dialog").get_by_role("button", name="Change to live").click()
    expect(page.locator(".toast.error")).to_contain_text("look before you try again")


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


def test_an_instance_from_its_beginning_to_its_end(visitor: Visitor, gateway: FakeEvolution) -> None:
    """What the double plays, against the real routes; what the page shows is what the daemon says is in force."""
    visitor.expected = ("409",)
    page = visitor.opens(locale=ARABIC_BROWSER, view="instances")
    _adds(page, gateway)
    _forwards(page)
    _sets_and_restores(page)
    _connects_and_gives_back(page)
    assert not bare_texts(page, 6)

    page.get_by_role("button", name="Remove this instance").click()
    page.get_by_role("dialog", name="Remove").get_by_role("button", name="Remove").click()
    expect(page.locator(".instance", has_text=SHOP)).to_be_visible()
    expect(page.locator(".instance", has_text=ADDED)).to_have_count(0)


def _adds(page: Page, gateway: FakeEvolution) -> None:
    page.get_by_role("button", name="Add an instance").press("Enter")
    form = page.get_by_role("dialog", name="Add an instance")
    form.get_by_label("Name").fill(ADDED)
    form.get_by_label("Prompt").fill(PROMPT)
    assert form.get_by_label("Prompt").evaluate("node => getComputedStyle(node).direction") == "rtl"
    form.get_by_label("Mode", exact=True).select_option("shadow")
    expect(form.get_by_text("sends nothing")).to_be_visible()
    form.get_by_label("How its messages come and go").select_option("evolution")
    form.get_by_label("Gateway key").fill("gateway-key")
    address = form.get_by_label("Gateway address")
    address.fill("evolution")
    form.get_by_role("button", name="Add").click()
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert").filter(has_text="http")).to_have_text(re.compile("^must be an http"))
    address.fill(gateway.url)
    address.press("Enter")
    expect(page.get_by_role("heading", name=ADDED)).to_be_visible()
    expect(page).to_have_url(re.compile(r"#/instances/%D8%B5"))
    expect(page.locator(".mode-choice[aria-pressed=true]")).to_contain_text("Shadow")
    expect(page.locator(".instance-shadow")).to_contain_text("Nothing was heard in this mode yet")
    assert "gateway-key" not in page.content()


def _forwards(page: Page) -> None:
    page.get_by_role("button", name="Passthrough").click()
    question = page.get_by_role("dialog", name=f"Change {ADDED} to passthrough?")
    question.get_by_role("button", name="Change to passthrough").click()
    expect(page.locator(".toast.error")).to_have_text(re.compile("^mode: needs passthrough.url"))
    page.get_by_role("button", name="Passthrough").click()
    question.get_by_label("The old address").fill("http://127.0.0.1:9/old")
    question.get_by_role("button", name="Change to passthrough").click()
    expect(page.locator(".instance-head .mode-passthrough")).to_be_visible()
    expect(page.locator(".instance-forwards")).to_contain_text("Nothing is waiting")


def _sets_and_restores(page: Page) -> None:
    page.locator(".setting-group", has_text="When a person is asked for").locator("summary").click()
    threshold = page.locator(".setting", has_text="escalation.threshold")
    threshold.get_by_role("button", name="Edit escalation.threshold").press("Enter")
    box = page.get_by_label("escalation.threshold", exact=True)
    box.fill("0")
    box.press("Enter")
    expect(page.get_by_text("must be greater than or equal to 1")).to_be_visible()
    box.fill("5")
    page.get_by_label("Reason, for the history").fill("they asked")
    page.get_by_label("Reason, for the history").press("Enter")
    expect(threshold.locator(".setting-value")).to_have_text("5")
    expect(threshold).to_contain_text("column whatsapp_instances.escalation_threshold")
    versions = page.locator(".version")
    expect(versions.first).to_contain_text("Reason: they asked")
    expect(versions.locator(".changes").first).to_have_text("escalation.threshold 3 → 5")
    threshold.get_by_role("button", name="Unset escalation.threshold").click()
    page.get_by_role("dialog").get_by_role("button", name="Unset").click()
    expect(threshold.locator(".setting-value")).to_have_text("3")
    expect(versions.locator(".changes").first).to_have_text("escalation.threshold 5 → not set")
    versions.nth(1).get_by_role("button", name="Back to this version").click()
    page.get_by_role("dialog", name="Bring").get_by_role("button", name="Bring it back").click()
    expect(threshold.locator(".setting-value")).to_have_text("5")
    versions.last.get_by_role("button", name="Back to this version").click()
    page.get_by_role("dialog", name="Bring").get_by_role("button", name="Bring it back").click()
    expect(threshold.locator(".setting-value")).to_have_text("3")
    expect(page.locator(".instance-head .mode-shadow")).to_be_visible()


def _connects_and_gives_back(page: Page) -> None:
    place = page.locator(".instance-connection")
    place.get_by_role("button", name="Connect …").click()
    place.get_by_role("button", name="Look what stands there").click()
    expect(place.get_by_text("it is shadow: nobody would answer")).to_be_visible()
    expect(place.get_by_role("button", name="Set the webhook …")).to_be_disabled()
    place.get_by_label("Set it although something is missing").check()
    place.get_by_role("button", name="Set the webhook …").click()
    page.get_by_role("dialog", name="Connect").get_by_role("button", name="Set the webhook").click()
    expect(place.locator(".status-line", has_text="Connected: the gateway posts to")).to_be_visible()
    place.get_by_role("button", name="Give it back …").click()
    page.get_by_role("dialog", name="Give the").get_by_role("button", name="Give it back").click()
    expect(place.get_by_text("Majlis has not set the gateway's webhook.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_in_order_with_arabic_names_in_an_arabic_browser(
    visitor: Visitor, daemon: DaemonUnderTest, scheme: str, width: int
) -> None:
    """English words, digits and dates; each name, text and address isolated; nothing cut, nothing faint."""
    _customers_write(daemon, width)
    page, tenants = opened(visitor, "live", scheme=scheme, width=width)
    tenants.all[SHOP].held = f"the key of {SHOP} cannot be opened: it was sealed with another one"
    wrong: dict[str, list[str]] = {}

    def look(view: str, least: int) -> None:
        wrong[view] = _wrong_with(page, width, least)

    escalated = page.locator(".turn", has_text="escalated").filter(has_text=SHOP).first
    expect(escalated.locator(".turn-state")).to_have_text("escalated")
    expect(page.locator(".card")).not_to_have_count(0)
    look("live", 3)
    for view, sign in (
        ("dead", "h1"),
        ("events", "h1"),
        ("health", ".audit li"),
        ("instances", ".instance"),
        (f"instances/{SHOP}", ".version"),
        ("playground", ".phone-who:not(:empty)"),
    ):
        visitor.goes(page, view)
        page.locator(sign).first.wait_for()
        look(view, 0 if view == "dead" else 1)
    visitor.goes(page, "health")
    unknown = page.locator(".unknown-instance")
    expect(unknown.locator("code")).to_have_text(f"majlis instance add '{UNKNOWN}'")
    unknown.get_by_role("button", name="Add it").press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value(UNKNOWN)
    look("add it", 1)
    page.keyboard.press("Escape")
    page.unroute("**/v1/instances/**")
    visitor.goes(page, f"instances/{ROSES}")
    compared = page.locator(".instance-shadow")
    compared.get_by_role("button", name="Reveal").press("Enter")
    turn = compared.locator(".shadow-turn").first
    expect(turn).to_contain_text("كم سعر الورد؟")
    expect(turn).to_contain_text("خمسون ريالا")
    look("shadow", 4)
    visitor.goes(page, "live")
    page.locator(".card").first.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Reveal").click()
    expect(page.get_by_role("dialog").locator(".message-text")).to_contain_text("السلام عليكم")
    look("conversation", 2)
    page.keyboard.press("Escape")
    escalated.click()
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
    assert not any(wrong.values()), wrong


def _customers_write(daemon: DaemonUnderTest, width: int) -> None:
    """One is answered by a person, one waits, one is answered in shadow, and one writes to nobody that is known."""
    person = f"9665555{width:05d}"
    daemon.burst(Said(SHOP, person, "أريد التحدث مع a human please", f"ar-{width}"))
    daemon.wait_for(lambda: daemon.show(SHOP, person)["turns"], "it is escalated")
    daemon.burst(Said(CAFE, person, "السلام عليكم", f"ar-waits-{width}"))
    daemon.admin(f"/v1/instances/{quote(CAFE)}/pause", post=True)
    daemon.burst(Said(ROSES, person, "كم سعر الورد؟", f"roses-{width}"))
    daemon.wait_for(lambda: daemon.show(ROSES, person)["turns"], "it is answered in shadow")
    old = upsert(ROSES, person, "خمسون ريالا", f"old-{width}", NOW + 5, from_me=True)
    assert daemon.post({**old, "event": "send.message"}).status == 200
    daemon.burst(Said(UNKNOWN, person, "مرحبا", f"unknown-{width}"))


def _wrong_with(page: Page, width: int, least: int) -> list[str]:
    wrong = [*bare_texts(page, least), *faint_texts(page)]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        wrong.append("wider than the screen")
    # A finger has no hover: only icons, which have a label as well, may have a name for a pointer.
    return wrong + ["a name for a pointer"] * page.locator("[title]:not(.head [title])").count()

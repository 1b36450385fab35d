"""The first hour: from an empty machine to a connected instance, a tried prompt and an answered customer.

Everything is done on the pages; no SQL, no restart, no file edited. The gateway and the model are doubles, the rest is
real.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.harness import DaemonUnderTest, Tree, daemon_under_test
from tests.browser.visitor import Visitor
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

NAME = "مقهى السلام"
PROMPT = "أنت موظف استقبال في مقهى السلام.\nالتوصيل مجاني."
DEARER = PROMPT.replace("مجاني", "بعشرة ريالات")
CUSTOMER = "966551110007"
FORMER = "http://n8n.internal/webhook/old"


def _empty(data_dir: Path) -> Tree:
    """As `majlis run` without any file, but for ports that are free and a window that is short."""
    ports: Tree = {"ingress": {"listen": "127.0.0.1:0"}, "dashboard": {"listen": "[::1]:0"}}
    quick: Tree = {"batching": {"window_seconds": 0.6}, "log": {"format": "json"}}
    return {"data_dir": str(data_dir), **ports, **quick}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    with daemon_under_test(base=_empty) as daemon:
        yield daemon


class Customer:
    """Writes through the webhook that the gateway has been told, and reads what the gateway delivers."""

    def __init__(self, gateway: FakeEvolution) -> None:
        self._gateway = gateway
        self._said = 0

    def asks(self, text: str) -> str:
        """Returns the answer."""
        self._said += 1
        data = upsert(NAME, CUSTOMER, text, f"first-{self._said}", int(time.time()))["data"]
        tell(self._gateway, "messages.upsert", data)
        self._gateway.wait_for_deliveries(self._said)
        return self._gateway.texts(CUSTOMER)[-1]


def tell(gateway: FakeEvolution, event: str, data: object) -> None:
    told = gateway.event(NAME, event, data)
    assert told is not None, "the gateway posts nowhere"
    url, headers, body = told
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_the_first_hour(
    visitor: Visitor, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    assert gateway.webhook is not None
    gateway.webhook["url"] = FORMER
    gateway.phones[NAME] = "close"
    gateway.codes[NAME] = "2@a-code-that-pairs"
    model.text_for = lambda _: f"Delivery: {'10 SAR' if 'ريالات' in model.questions[-1].system else 'free'}"
    visitor.expected = ("409",)  # what was written as the provider's address first
    page = visitor.opens(_printed_link(daemon), view="instances")
    expect(page.get_by_text("majlis dashboard prints a link with your own")).to_be_visible()
    page = visitor.opens(view="instances")
    _add(page, gateway, model)
    _try(page, gateway)
    _connect(page, daemon, gateway)
    _answer(page, gateway)
    _give_back(page, gateway)


def _printed_link(daemon: DaemonUnderTest) -> str:
    found = daemon.wait_for(lambda: re.search(r"http://\S+#login=\S+", daemon.stdout), "the link is printed")
    return found[0]


def _add(page: Page, gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """What is missing is told at its field; what was written stays."""
    page.get_by_role("button", name="Add an instance").click()
    form = page.get_by_role("dialog", name="Add an instance")
    form.get_by_label("Name").fill(NAME)
    form.get_by_label("Prompt").fill(PROMPT)
    assert form.get_by_label("Prompt").evaluate("node => getComputedStyle(node).direction") == "rtl"
    form.get_by_label("Who answers").select_option("openai")
    address = form.get_by_label("Provider address")
    expect(address).to_have_value("https://api.openai.com/v1")
    address.fill("the model")
    form.get_by_label("Provider key").fill(model.api_key)
    form.get_by_label("Model").fill("test-model")
    form.get_by_label("How its messages come and go").select_option("evolution")
    form.get_by_label("Gateway address").fill(gateway.url)
    form.get_by_label("Gateway key").fill(gateway.api_key)
    form.get_by_role("button", name="Add").click()
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("alert")).to_have_text(re.compile("must be an http:// or https:// address"))
    address.fill(model.base_url)
    address.press("Enter")
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    assert not any(key in page.content() for key in (model.api_key, gateway.api_key))


def _try(page: Page, gateway: FakeEvolution) -> None:
    """The draft's answer stands beside that of the live prompt; nothing is sent, and nothing has changed."""
    page.get_by_text("Set a key that is not listed").click()
    page.get_by_label("Key", exact=True).fill("responder.providers.0.price_per_million_input_tokens")
    page.get_by_label("Value", exact=True).fill("3")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("price_per_million_input_tokens is in force.")).to_be_visible()
    prompt = page.locator(".instance-prompt")
    editor = prompt.get_by_label("What the model is told")
    expect(editor).to_have_value(PROMPT)
    editor.fill(DEARER)
    prompt.get_by_label("What a customer could write").fill("كم سعر التوصيل؟")
    prompt.get_by_role("button", name="Try it").click()
    draft = prompt.get_by_role("region", name="Your draft")
    expect(draft).to_contain_text("Delivery: 10 SAR")
    expect(draft).to_contain_text(re.compile(r"\d m?s, cost 0\.0000\d+, by openai, model test-model"))
    expect(prompt.get_by_role("region", name="The live prompt")).to_contain_text("Delivery: free")
    prompt.get_by_role("button", name="Discard changes").click()
    expect(page.locator(".version")).to_have_count(2)
    assert gateway.sends == []


def _connect(page: Page, daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """The former address is shown and asked about; the phone is paired by its code; an event proves the way."""
    place = page.locator(".instance-connection")
    place.get_by_role("button", name="Connect …").click()
    place.get_by_role("button", name="Look what stands there").click()
    expect(place.locator(".addresses")).to_contain_text(FORMER)
    place.get_by_role("button", name="Set the webhook …").click()
    question = page.get_by_role("dialog", name="Connect")
    expect(question).to_contain_text(f"The gateway posts to {FORMER} now.")
    question.get_by_role("button", name="Set the webhook").click()
    expect(place.locator(".status-line", has_text="Connected: the gateway posts to")).to_be_visible()
    place.get_by_role("button", name="Show the QR code").click()
    expect(place.get_by_role("img", name="QR code to pair the phone")).to_be_visible()
    gateway.phones[NAME] = "open"
    tell(gateway, "connection.update", {"instance": NAME, "state": "open", "statusReason": 200})
    expect(place.get_by_text("The phone is connected.")).to_be_visible()
    expect(place).not_to_contain_text("not paired")
    expect(place).to_contain_text("1 event came since the start")
    assert gateway.codes[NAME] not in daemon.log + daemon.stdout


def _answer(page: Page, gateway: FakeEvolution) -> None:
    """The next answer follows what is set on the page, and the version that was given back."""
    customer = Customer(gateway)
    assert customer.asks("كم سعر التوصيل؟") == "Delivery: free"
    prompt = page.locator(".instance-prompt")
    prompt.get_by_label("What the model is told").fill(DEARER)
    prompt.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The prompt is in force")).to_be_visible()
    assert customer.asks("والآن؟") == "Delivery: 10 SAR"
    version = page.locator(".version")
    expect(version.first.locator("ins")).to_have_text("added: التوصيل بعشرة ريالات.")
    before = version.nth(1)
    before.get_by_role("button", name="Back to this version").click()
    page.get_by_role("dialog", name="Bring").get_by_role("button", name="Bring it back").click()
    expect(prompt.get_by_label("What the model is told")).to_have_value(PROMPT)
    assert customer.asks("متأكد؟") == "Delivery: free"


def _give_back(page: Page, gateway: FakeEvolution) -> None:
    page.get_by_role("button", name="Give it back …").click()
    question = page.get_by_role("dialog", name="Give the webhook of")
    expect(question).to_contain_text(f"The gateway will post to {FORMER} again.")
    question.get_by_role("button", name="Give it back").click()
    expect(page.get_by_text("Majlis has not set the gateway's webhook.")).to_be_visible()
    now = gateway.webhook_of(NAME)
    assert now is not None and now["url"] == FORMER

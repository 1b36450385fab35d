"""Links, sessions, and a connection that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, merged
from tests.browser.visitor import Visitor, settings


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    with daemon_under_test(settings({"instances": {"demo": {}}})) as daemon:
        yield daemon


def test_a_link_opens_the_page_once(visitor: Visitor) -> None:
    """A second use is refused with a sentence that says how to get a new one, which can be pasted."""
    visitor.expected = ("401",)
    link = visitor.link()
    page = visitor.opens(link)
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    assert "login" not in page.url
    page.reload()
    expect(page.get_by_role("heading", name="Conversations")).to_be_visible()

    second = visitor.opens(link)
    expect(second.get_by_role("heading", name="This link is not valid")).to_be_visible()
    expect(second.get_by_role("alert")).to_contain_text("has been used already")
    expect(second.get_by_text("majlis dashboard", exact=True)).to_be_visible()
    second.get_by_label("Login link").fill(visitor.link())
    second.get_by_role("button", name="Sign in").click()
    expect(second.get_by_role("navigation", name="Views")).to_be_visible()


def test_without_a_link_the_page_says_how_to_get_one(visitor: Visitor) -> None:
    visitor.expected = ("401",)
    page = visitor.opens(visitor.address)
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()
    page.get_by_label("Login link").fill("nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("majlis dashboard")
    expect(page.get_by_role("navigation", name="Views")).to_have_count(0)


def test_a_lost_connection_is_shown_and_recovers(visitor: Visitor) -> None:
    visitor.expected = ("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED")
    page = visitor.opens()
    state = page.locator(".pill")
    expect(state).to_have_text("Live")
    page.context.set_offline(True)
    expect(state).to_contain_text("Disconnected, retrying in")
    expect(page.locator(".banner")).to_contain_text("Data as of")
    page.context.set_offline(False)
    expect(state).to_have_text("Live")
    expect(page.locator(".banner")).to_have_count(0)


def test_the_colour_scheme_is_the_systems_or_the_chosen_one(visitor: Visitor) -> None:
    page = visitor.opens(scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Colour scheme: system").click()
    page.get_by_role("button", name="Colour scheme: light").wait_for()
    assert page.evaluate(ground) != dark
    page.reload()
    page.get_by_role("button", name="Colour scheme: light").click()
    page.get_by_role("button", name="Colour scheme: dark").wait_for()
    assert page.evaluate(ground) == dark


def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    visitor.expected = ("401",)
    page = visitor.opens()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()
    page.goto(visitor.address)
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()


def test_another_browser_is_logged_out(visitor: Visitor) -> None:
    visitor.expected = ("401",)
    page, other = visitor.opens(view="health"), visitor.opens()
    asked = "fetch('/v1/dashboard/sessions').then((answer) => answer.json())"
    name = other.evaluate(f"{asked}.then((page) => page.sessions.find((one) => one.is_yours).session)")
    mine = page.locator(".session", has_text="This is you")
    expect(mine).to_have_count(1)
    expect(mine.get_by_role("button")).to_have_count(0)
    page.locator(".session", has_text=name).get_by_role("button", name="Log out").click()
    page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(other.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.locator(".session", has_text=name)).to_have_count(0)


def test_after_a_restart_the_page_says_how_to_sign_in_again(
    visitor: Visitor, daemon: DaemonUnderTest
) -> None:
    """Sessions end with the daemon, and the page notices. Must be the last test: it changes the address."""
    visitor.expected = ("401", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE", "503")
    address = visitor.address.removeprefix("http://")
    page = visitor.opens()
    expect(page.locator(".pill")).to_have_text("Live")
    daemon.settings = merged(daemon.settings, {"dashboard": {"listen": address}})
    daemon.restart()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_text("majlis dashboard", exact=True)).to_be_visible()
    page.get_by_label("Login link").fill(visitor.link())
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".pill")).to_have_text("Live")

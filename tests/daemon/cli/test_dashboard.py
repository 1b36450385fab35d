"""`majlis dashboard`: a login link, and a browser if there is one."""

from __future__ import annotations

import json
import webbrowser

import pytest

from tests.daemon.cli.conftest import Typed
from tests.support.operators import LINK, DoorInThread


class Browser:
    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True


def no_browser() -> Browser:
    raise webbrowser.Error("could not locate runnable browser")


def test_the_link_is_alone_on_its_line_and_audited(door: DoorInThread, majlis: Typed) -> None:
    done = majlis("dashboard")
    assert done.status == 0
    assert done.out.splitlines() == [LINK, "valid once, for 1 h 0 min, with access level admin"]
    (entry,) = door.operators.audited
    assert (entry.action, entry.target) == ("dashboard-login", "level admin") and entry.uid is not None
    assert json.loads(majlis("dashboard", "--json").out)["url"] == LINK


def test_other_addresses_of_the_dashboard_are_printed_too(door: DoorInThread, majlis: Typed) -> None:
    door.operators.links = ["https://majlis.example.com/#login=token"]
    assert majlis("dashboard").out.splitlines()[1] == "or https://majlis.example.com/#login=token"


def test_open_opens_the_link_in_a_browser_if_there_is_one(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    assert majlis("dashboard", "--open").status == 0 and browser.opened == [LINK]
    monkeypatch.setattr(webbrowser, "get", no_browser)
    refused = majlis("dashboard", "--open")
    assert refused.status == 1 and LINK in refused.out
    assert (
        refused.err == "majlis: no browser could be opened on this machine: open the link above in your own\n"
    )


def test_without_a_dashboard_the_error_says_why(door: DoorInThread, majlis: Typed) -> None:
    door.operators.no_dashboard = "127.0.0.1:8089 is taken by another program."
    refused = majlis("dashboard")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == "majlis: The dashboard is not served: 127.0.0.1:8089 is taken by another program.\n"


def test_sessions_are_listed_and_closed(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("dashboard", "sessions").out == "nobody is logged in at the dashboard\n"
    for session in ("aaaaaa", "bbbbbb", "cccccc"):
        door.operators.browsers.log_in(session, "operate", "start")
    header, first, *_ = majlis("dashboard", "sessions").out.splitlines()
    assert " ".join(header.split()) == "session level asked by logged in last seen ends in streams"
    assert " ".join(first.split()) == "aaaaaa operate start 1 min 30 s ago 5.0 s ago 1 h 0 min 1"
    assert len(json.loads(majlis("dashboard", "sessions", "--json").out)["sessions"]) == 3
    assert majlis("dashboard", "close", "aaaaaa").out == "1 session closed\n"
    assert json.loads(majlis("dashboard", "close", "--all", "--json").out) == {"closed": ["bbbbbb", "cccccc"]}
    gone = majlis("dashboard", "close", "aaaaaa")
    assert gone.err == "majlis: There is no session aaaaaa: see `majlis dashboard sessions`.\n"
    for words in (["close"], ["close", "aaaaaa", "--all"], ["--json", "sessions"]):
        assert majlis("dashboard", *words).status == 2

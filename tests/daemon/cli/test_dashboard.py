"""`majlis dashboard`: a link, and a browser where there is one."""

from __future__ import annotations

import json
import webbrowser

import pytest

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import DoorInThread

LINK = "http://127.0.0.1:8089/#login=token"


class Browser:
    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True


def no_browser() -> Browser:
    raise webbrowser.Error("could not locate runnable browser")


def test_the_link_stands_alone_on_its_line_and_is_recorded(door: DoorInThread, majlis: Typed) -> None:
    told = majlis("dashboard")
    assert told.status == 0
    assert told.out.splitlines() == [LINK, "good once, within 1 h 0 min, at level admin"]
    (entry,) = door.operations.audited
    assert (entry.action, entry.target) == ("dashboard-login", "level admin") and entry.uid is not None
    assert json.loads(majlis("dashboard", "--json").out)["url"] == LINK


def test_other_names_of_the_page_are_told_as_well(door: DoorInThread, majlis: Typed) -> None:
    door.links.others = ["https://majlis.example.com/#login=token"]
    assert majlis("dashboard").out.splitlines()[1] == "or https://majlis.example.com/#login=token"


def test_it_is_opened_where_there_is_a_browser(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: browser)
    assert majlis("dashboard", "--open").status == 0 and browser.opened == [LINK]
    monkeypatch.setattr(webbrowser, "get", no_browser)
    refused = majlis("dashboard", "--open")
    assert refused.status == 1 and LINK in refused.out
    assert (
        refused.err == "majlis: there is no browser here that could be opened: open the link above in yours\n"
    )


def test_where_no_dashboard_is_served_it_is_said_why(door: DoorInThread, majlis: Typed) -> None:
    door.links.problem = "127.0.0.1:8089 is taken by another program."
    refused = majlis("dashboard")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == "majlis: The dashboard is not served: 127.0.0.1:8089 is taken by another program.\n"

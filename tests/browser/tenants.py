"""The admin routes of instances as a page sees them: what it is told is kept in one object, not in a daemon.

What a daemon makes of settings, webhooks and keys has its own tests; here it is the page that is tried, in states that
take a gateway and a telephone to reach. Every answer has the type of the real route: what that type does not have, the
page does not get.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from playwright.sync_api import Page, Route

from daemon.operate.connection_views import ConnectionView, ConnectView, DisconnectView, QrView
from daemon.operate.forwards import ForwardPage, ForwardsRetried
from daemon.operate.shadow import ShadowReport
from daemon.operate.tenants import InstanceChanged, InstanceHistory, InstanceList, InstancePage

Document = dict[str, Any]
Shape = type[msgspec.Struct]
MASK = "****"
SECRETS = ("gateway.api_key", "ingress.token")
DEFAULTS = {
    "prompt": "null",
    "active": "true",
    "escalation.threshold": "3",
    "mode": "live",
    "batching.window_seconds": "8",
    "escalation.message": "null",
    "gateway.base_url": "https://evolution.example.com",
    "gateway.api_key": "null",
    "responder.providers.0.model": "small",
    "flags.cache": "true",
}
COLUMNS = ("prompt", "active", "escalation.threshold")


class Refused(Exception):
    """The daemon says no; the text is its sentence."""


@dataclass
class Instance:
    own: dict[str, str] = field(default_factory=dict)
    versions: list[Document] = field(default_factory=list)
    states: list[dict[str, str]] = field(default_factory=list)
    held: str = ""


class Tenants:
    """Answers `/v1/instances…` and `/v1/forwards…` of a page."""

    def __init__(self, page: Page) -> None:
        self.all: dict[str, Instance] = {}
        self.asked: list[tuple[str, Document]] = []
        """The bodies of what was changed."""
        self.forwards: list[Document] = []
        page.route("**/v1/instances", self._list)
        page.route("**/v1/instances/**", self._one)
        page.route("**/v1/forwards**", self._forwards)

    def add(self, name: str, own: dict[str, str] | None = None) -> Instance:
        self.all[name] = found = Instance()
        self._change(found, "add", own or {}, [], "")
        return found

    def _list(self, route: Route) -> None:
        rows = [self._row(name, one) for name, one in sorted(self.all.items())]
        _answer(route, InstanceList, {"instances": rows})

    def _row(self, name: str, one: Instance) -> Document:
        last = one.versions[0]
        return {
            "instance": name,
            "mode": one.own.get("mode", "live"),
            "active": one.own.get("active", "true") == "true",
            "version": last["version"],
            "changed_at": last["at"],
            "changed_by": last["by"],
            "origin": "stored",
            "gateway": "evolution",
            "has_prompt": "prompt" in one.own,
            "held": one.held,
            "last_message_at": "2026-01-01T10:00:00.000Z",
        }

    def _page(self, name: str, one: Instance) -> Document:
        row = self._row(name, one)
        kept = ("instance", "version", "changed_at", "changed_by", "origin", "held")
        page = {**{key: row[key] for key in kept}, "values": self._values(one)}
        return page | {"credentials": [], "connection": {"connected": False}, "forwards": {}}

    def _one(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        name, _, deed = unquote(url.path.removeprefix("/v1/instances/")).partition("/")
        body: Document = json.loads(route.request.post_data or "{}")
        if route.request.method == "POST":
            self.asked.append((deed, body))
        try:
            _answer(
                route,
                SHAPES.get(deed, InstanceChanged),
                self._answered(name, deed, body, parse_qs(url.query)),
            )
        except Refused as error:
            refused = {"status": "error", "reason": "conflict", "message": str(error)}
            route.fulfill(status=409, json=refused)

    def _answered(self, name: str, deed: str, body: Document, query: dict[str, list[str]]) -> Document:
        """Raises: Refused."""
        if problem := _problem(name, body.get("set", {})):
            raise Refused(problem)
        one = self.all[name]
        shown: dict[str, Callable[[], Document]] = {
            "": lambda: self._page(name, one),
            "history": lambda: {"instance": name, "versions": one.versions},
            "connection": lambda: _connection(name),
            "shadow": lambda: _comparison(name, one),
        }
        if deed in shown:
            return shown[deed]()
        match deed:
            case "set":
                self._change(one, "change", body["set"], body["unset"], body["why"])
            case "restore":
                before = one.states[int(query["version"][0]) - 1]
                gone = [key for key in one.own if key not in before]
                self._change(one, "restore", before, gone, "")
            case "remove":
                assert body == {"why": ""}
                del self.all[name]
        return {"instance": name, "version": len(one.versions), "changes": []}

    def _change(self, one: Instance, what: str, wanted: dict[str, str], unset: list[str], why: str) -> None:
        before = dict(one.own)
        one.own.update(wanted)
        for key in unset:
            one.own.pop(key, None)
        changes = [
            {"key": key, "before": _masked(key, before.get(key)), "after": _masked(key, one.own.get(key))}
            for key in sorted({*before, *one.own})
            if before.get(key) != one.own.get(key)
        ]
        one.states.append(dict(one.own))
        made: Document = {"version": len(one.versions) + 1, "what": what, "why": why, "changes": changes}
        one.versions.insert(0, {**made, "at": "2026-01-01T10:00:00.000Z", "by": "uid 0"})

    def _values(self, one: Instance) -> list[Document]:
        return [
            {
                "key": key,
                "value": _masked(key, one.own.get(key, DEFAULTS.get(key, "null"))),
                "origin": "majlis instance set, uid 0, 2026-01-01 10:00 UTC" if key in one.own else "default",
                "kind": "secret" if key in SECRETS else "column" if key in COLUMNS else "setting",
            }
            for key in dict.fromkeys((*DEFAULTS, *one.own))
        ]

    def _forwards(self, route: Route) -> None:
        if route.request.method == "POST":
            for one in self.forwards:
                one["state"] = "waiting"
            _answer(route, ForwardsRetried, {"retried": len(self.forwards)})
            return
        dead = sum(one["state"] == "dead" for one in self.forwards)
        queue = {
            "waiting": len(self.forwards) - dead,
            "waiting_bytes": 900,
            "dead": dead,
            "dead_bytes": 1_500,
        }
        known = {"oldest_seconds": 61.0, "rests_seconds": 0.0}
        queues = [{"instance": name, **queue, **known} for name in self.all] if self.forwards else []
        _answer(route, ForwardPage, {"queues": queues, "webhooks": self.forwards})


SHAPES: dict[str, Shape] = {
    "": InstancePage,
    "history": InstanceHistory,
    "connection": ConnectionView,
    "connect": ConnectView,
    "disconnect": DisconnectView,
    "qr": QrView,
    "shadow": ShadowReport,
}


def _answer(route: Route, shape: Shape, document: Document) -> None:
    route.fulfill(json=msgspec.to_builtins(msgspec.convert(document, shape)))


def _problem(name: str, wanted: Document) -> str:
    if wanted.get("escalation.threshold") == "0":
        return "escalation.threshold: must be greater than or equal to 1; it is 0 (from majlis instance set)"
    if not str(wanted.get("gateway.base_url", "http")).startswith("http"):
        return f"instances.{name}.gateway.base_url: must be an http:// or https:// address"
    return ""


def _comparison(name: str, one: Instance) -> Document:
    return {"instance": name, "mode": one.own.get("mode", "live"), "summary": {}, "turns": []}


def _masked(key: str, value: str | None) -> str | None:
    return MASK if key in SECRETS and value not in (None, "null") else value


def _connection(name: str) -> Document:
    events = {"events": 0, "last_event": "", "last_event_seconds": None, "pending": 0}
    return {"instance": name, "connected": False, "url": "", "set_at": "", "set_by": "", **events}

"""The dashboard of a running daemon over plain HTTP: links, sessions, the playground, stopping with open pages."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from tests.acceptance.harness import DaemonUnderTest, Tree, daemon_under_test, evolution, merged
from tests.acceptance.oracle import Contact
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS
from tests.support.webhook_server import FakeWebhook

STAFF = "966500000001"
# IPv6, by which the harness tells it from the door for webhooks.
SETTINGS: Tree = {
    "dashboard": {"listen": "[::1]:0"},
    "turn": {"duplicate_seconds": 0},
    # However slowly it is posted, a burst of three is one batch.
    "instances": {"demo": {}, "three": {"batching": {"window_seconds": 600, "max_messages": 3}}},
}
JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    status: int
    cookie: str
    body: bytes

    @property
    def document(self) -> Tree:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Page:
    """A browser: one address and the cookie it got there."""

    def __init__(self, url: str) -> None:
        place, _, self.token = url.partition("/#login=")
        self.place = place.removeprefix("http://")
        self.cookie = ""

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        with self._asking(method, path, body) as response:
            given = response.getheader("set-cookie", "").partition(";")[0]
            return Answer(response.status, given, response.read())

    def get(self, path: str) -> Tree:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.document

    def post(self, path: str, body: object = None) -> Tree:
        answer = self.ask("POST", path, body)
        assert answer.status == 200, answer
        return answer.document

    def log_in(self) -> Page:
        answer = self.ask("POST", "/session", {"token": self.token})
        assert answer.status == 200, answer
        self.cookie = answer.cookie
        return self

    @contextmanager
    def following(self) -> Iterator[HTTPResponse]:
        """The stream of events."""
        with self._asking("GET", "/v1/tail") as response:
            assert response.status == 200
            yield response

    @contextmanager
    def _asking(self, method: str, path: str, body: object = None) -> Iterator[HTTPResponse]:
        parts = urlsplit(f"//{self.place}")
        assert parts.hostname and parts.port
        connection = HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)
        try:
            encoded = None if body is None else json.dumps(body).encode()
            headers = {**JSON, "Cookie": self.cookie, "Origin": f"http://{self.place}"}
            connection.request(method, path, encoded, headers)
            yield connection.getresponse()
        finally:
            connection.close()


class Customer:
    """The customer that a page plays at one instance."""

    def __init__(self, page: Page, instance: str = "demo") -> None:
        self.page = page
        self.instance = instance

    @property
    def view(self) -> Tree:
        return self.page.get(f"/playground?instance={self.instance}")

    def says(self, text: str) -> str:
        """Returns its id."""
        return str(self.page.post("/playground", {"instance": self.instance, "text": text})["id"])

    def heard(self) -> list[str]:
        messages = self.view["messages"]
        assert isinstance(messages, list)
        return [str(message["text"]) for message in messages if message["from"] == "majlis"]


def link_of(daemon: DaemonUnderTest) -> Page:
    """From `majlis dashboard`."""
    printed = daemon.majlis("dashboard")
    assert printed.returncode == 0, printed.stderr
    url, about = printed.stdout.splitlines()
    assert about == "valid once, for 1 h 0 min, with access level admin"
    return Page(url)


@pytest.fixture(scope="module")
def webhook() -> Iterator[FakeWebhook]:
    with FakeWebhook().running() as server:
        yield server


@pytest.fixture(scope="module")
def only_daemon(gateway: FakeEvolution, webhook: FakeWebhook) -> Iterator[DaemonUnderTest]:
    desk = {"escalation": {"notify_numbers": [STAFF], "notify_webhook": webhook.url}}
    with daemon_under_test(merged(SETTINGS, evolution(gateway), desk)) as started:
        started.rows("UPDATE whatsapp_instances SET escalation_enabled = true WHERE instance_name = 'demo'")
        started.admin("/v1/reload", post=True)
        yield started


@pytest.fixture
def daemon(only_daemon: DaemonUnderTest) -> DaemonUnderTest:
    if not only_daemon.is_alive:
        only_daemon.start()
    return only_daemon


@pytest.fixture
def page(daemon: DaemonUnderTest) -> Page:
    return link_of(daemon).log_in()


def test_the_link_of_the_start_opens_the_page_once(daemon: DaemonUnderTest) -> None:
    """As with notebook servers: nothing else has to be typed."""
    (url,) = re.findall(r"works once: (http://\S+)", daemon.stdout)
    page = Page(url)
    assert page.ask("GET", "/").status == 200
    assert page.ask("GET", "/v1/status").status == 401
    page.log_in()
    session = page.get("/session")
    assert (session["level"], session["instances"], session["can_reveal"]) == (
        "operate",
        ["demo", "three"],
        False,
    )
    assert page.get("/v1/status")["ready"] is True
    again = page.ask("POST", "/session", {"token": page.token})
    assert again.status == 401 and "majlis dashboard" in str(again.document["message"])
    assert page.token not in daemon.log


def test_the_command_makes_links_of_the_callers_level(daemon: DaemonUnderTest) -> None:
    page = link_of(daemon).log_in()
    assert page.get("/session")["level"] == "admin"
    document = json.loads(daemon.majlis("dashboard", "--json").stdout)
    assert document["level"] == "admin" and document["others"] == [] and document["seconds"] == 3600
    assert document["url"].startswith(f"http://{page.place}/#login=")
    assert f"dashboard     http://{page.place}, " in daemon.majlis("status").stdout
    sql = "SELECT uid, target FROM majlis_audit WHERE action = 'dashboard-login' ORDER BY id DESC LIMIT 1"
    (asked,) = daemon.rows(sql)
    assert (asked["uid"], asked["target"]) == (os.getuid(), "level admin")
    newest = json.loads(daemon.majlis("dashboard", "sessions", "--json").stdout)["sessions"][-1]
    assert newest["asked_by"] == f"uid {os.getuid()}"
    assert daemon.majlis("dashboard", "close", newest["session"]).stdout == "1 session closed\n"
    assert page.ask("GET", "/session").status == 401


def test_a_burst_of_the_playground_is_answered_and_reaches_no_gateway(
    daemon: DaemonUnderTest, page: Page, gateway: FakeEvolution
) -> None:
    """Window, mirror, turn and ledger are real; the reply ends here."""
    before = len(gateway.texts())
    customer = Customer(page, "three")
    ids = [customer.says(text) for text in ("hello", "أريد غرفة", "for two nights")]
    daemon.wait_for(customer.heard, "it is answered")
    daemon.wait_settled()  # the reply is there before its turn is done
    assert customer.heard() == ["Heard 3: hello\nأريد غرفة\nfor two nights"]
    view = customer.view
    shown = page.get(f"/v1/conversations/{view['label']}?reveal=true")
    assert shown["contact"] == view["contact"]
    turns = shown["turns"]
    assert isinstance(turns, list)
    assert [(turn["state"], turn["parts"][0]["state"]) for turn in turns] == [("done", "sent")]
    assert page.get(f"/v1/explain/{ids[0]}")["state"] == "answered"
    assert len(gateway.texts()) == before
    renewed = page.post("/playground/new", {"instance": "three"})
    assert renewed["contact"] != view["contact"] and customer.heard() == []


def test_a_playground_customer_notifies_no_person(
    daemon: DaemonUnderTest, page: Page, gateway: FakeEvolution, webhook: FakeWebhook
) -> None:
    """Escalated, recorded and answered like any other, but nobody is notified, and an event says so."""
    customer, real = Customer(page), Contact()
    page.post("/playground/new", {"instance": "demo"})
    customer.says("I want to talk to a human please")
    daemon.wait_for(customer.heard, "it is answered")
    assert "member of our team" in customer.heard()[0]
    daemon.wait_for(lambda: daemon.events("notice.withheld"), "the withheld notice is logged")
    daemon.burst(real.says("I want to talk to a human please"))
    daemon.wait_for(lambda: gateway.texts(STAFF), "the staff is notified of the real one")
    (notice,) = gateway.texts(STAFF)
    assert real.phone in notice
    (posted,) = webhook.wait_for(1)
    assert posted.document["contact"] == real.phone  # type: ignore[index]
    assert len(daemon.events("turn.escalated")) == 2 and len(daemon.events("notice.withheld")) == 1


def test_what_is_done_on_the_page_is_recorded(daemon: DaemonUnderTest, page: Page) -> None:
    page.post("/v1/instances/demo/pause?seconds=600")
    page.post("/v1/instances/demo/resume")
    rows = daemon.rows("SELECT action, uid, pid, detail::text FROM majlis_audit ORDER BY id DESC LIMIT 2")
    for row, action in zip(rows, ("resume", "pause"), strict=True):
        detail = json.loads(row["detail"])
        assert (row["action"], row["uid"], row["pid"], detail["origin"]) == (action, -1, 0, "dashboard")
        assert detail["session"] == daemon.events("dashboard.opened")[-1]["session"]


def test_a_stop_does_not_wait_for_open_pages(daemon: DaemonUnderTest, page: Page) -> None:
    """Ctrl-C with an open stream, and with a page that does not read, takes no longer than without."""
    place = urlsplit(f"//{page.place}")
    with (
        page.following() as stream,
        socket.create_connection((place.hostname, place.port), PATIENCE_SECONDS) as silent,
    ):
        head = f"GET /v1/tail HTTP/1.1\r\nHost: {page.place}\r\nCookie: {page.cookie}\r\n\r\n"
        silent.sendall(head.encode())
        daemon.signal(signal.SIGINT)
        events = [json.loads(line)["event"] for line in stream if line.strip()]
        assert "daemon.draining" in events
        assert daemon.wait_exit() == 0


def test_a_restart_ends_the_sessions_and_says_how_to_log_in(daemon: DaemonUnderTest, page: Page) -> None:
    listen = page.place
    daemon.terminate()
    daemon.settings["dashboard"] = {"listen": listen}
    daemon.start()
    gone = page.ask("GET", "/session")
    assert gone.status == 401
    assert str(gone.document["message"]).endswith("get a new link with `majlis dashboard`")
    assert link_of(daemon).log_in().get("/session")["node"]


def test_an_address_in_use_costs_only_the_dashboard(daemon: DaemonUnderTest) -> None:
    """Also under a service manager: no login link in its log."""
    daemon.terminate()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = f"127.0.0.1:{holder.getsockname()[1]}"
        daemon.settings["dashboard"] = {"listen": taken}
        daemon.start()
        sentence = f"{taken} is taken by another program: stop it, or set dashboard.listen to a free port."
        assert f"No dashboard: {sentence}" in daemon.stdout
        assert [event["problem"] for event in daemon.events("dashboard.unavailable")] == [sentence]
        assert f"dashboard     not served: {sentence}" in daemon.majlis("status").stdout
        refused = daemon.majlis("dashboard")
        assert refused.returncode == 1 and sentence in refused.stderr
        daemon.burst(Contact().says())
        daemon.wait_settled()
        daemon.terminate()
    daemon.settings["dashboard"] = {"listen": "[::1]:0"}
    daemon.environment = {"NOTIFY_SOCKET": "/nonexistent/notify"}
    daemon.start()
    assert "The dashboard: http://[::1]:" in daemon.stdout and "#login=" not in daemon.stdout

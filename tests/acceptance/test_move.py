"""A business moves from its old system to Majlis and back, under traffic: each message is answered once, by one.

I1, I2, I4, I13. The gateway repeats what was not taken; the customers do not stop while anything is changed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution
from tests.acceptance.oracle import check_books
from tests.support.gateway_server import FakeEvolution
from tests.support.old_system import AnsweringOldSystem, post
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.payloads import upsert

INSTANCE, OLD_KEY = "acme", "canary-old-key"
CONTACTS = [f"5511900077{number:03d}" for number in range(4)]
BURST = 3
STEP_MESSAGES = 4
"""Of each customer, before the next step."""
SHARED = (
    "whatsapp_conversations",
    "whatsapp_messages",
    "whatsapp_ai_interactions",
    "whatsapp_escalated_conversations",
)


class Customers:
    """They write, some in bursts; the gateway posts it where the webhook goes, and again until it is taken."""

    def __init__(self, gateway: FakeEvolution) -> None:
        self.said: dict[str, list[str]] = {phone: [] for phone in CONTACTS}
        """Taken by somebody, in order."""
        self._gateway = gateway
        self._stop = threading.Event()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(CONTACTS) + 1) as pool:
            tasks = [pool.submit(self._write, phone, number % 2) for number, phone in enumerate(CONTACTS)]
            tasks.append(pool.submit(self._tell_sends))
            try:
                yield
            finally:
                self._stop.set()
        for task in tasks:
            task.result()

    def wait_for_more(self) -> None:
        """Until each has said more."""
        before = {phone: len(said) for phone, said in self.said.items()}
        wait_until(
            lambda: all(len(said) >= before[phone] + STEP_MESSAGES for phone, said in self.said.items()),
            "all customers wrote more",
            PATIENCE_SECONDS,
        )

    def _write(self, phone: str, in_bursts: int) -> None:
        serial = 0
        while not self._stop.is_set():
            for _ in range(BURST if in_bursts else 1):
                serial += 1
                text = f"{phone}-{serial}"
                payload = upsert(INSTANCE, phone, text, f"ID-{text}", int(time.time()))
                self._tell("messages.upsert", payload["data"])
                self.said[phone].append(text)
            time.sleep(0.9 if in_bursts else 0.4)

    def _tell_sends(self) -> None:
        """`send.message`, for whoever asked for it."""
        told = 0
        while not self._stop.is_set():
            with self._gateway.lock:
                new = self._gateway.records[told:]
            for record in new:
                self._tell("send.message", record)
            told += len(new)
            time.sleep(0.1)

    def _tell(self, event: str, data: object) -> None:
        """The same webhook to the same address until it is taken, as the gateway does it."""
        found = self._gateway.event(INSTANCE, event, data)
        if found is None:
            return
        url, headers, body = found
        if (self._gateway.webhook_of(INSTANCE) or {}).get("url") == url and "/hook" in url:
            url += f"/{event.replace('.', '-')}"
        until = time.monotonic() + 2 * PATIENCE_SECONDS
        while (status := post(url, body, headers)) != 200:
            assert status in (0, 503), status
            assert time.monotonic() < until, "the gateway gave up"
            time.sleep(0.1)


def replies(gateway: FakeEvolution, phone: str, who: str) -> list[str]:
    """What one of the two answered, in its order."""
    mine = [text for text in gateway.texts(phone) if re.match(who, text)]
    return [word for text in mine for word in re.sub(who, "", text).split()]


def shared_rows(daemon: DaemonUnderTest) -> int:
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in SHARED)
    return int(daemon.rows(f"SELECT {counts} AS rows")[0]["rows"])


def done(daemon: DaemonUnderTest, *command: str) -> str:
    typed = daemon.majlis("instance", *command)
    assert typed.returncode == 0, (typed.stdout, typed.stderr)
    return typed.stdout


def test_a_business_moves_to_majlis_and_back_and_each_message_is_answered_once() -> None:
    with (
        FakeEvolution().running() as gateway,
        AnsweringOldSystem(gateway.url, gateway.api_key, OLD_KEY).at_work() as old,
        daemon_under_test(evolution(gateway)) as daemon,
    ):
        move(daemon, gateway, old)


def move(daemon: DaemonUnderTest, gateway: FakeEvolution, old: AnsweringOldSystem) -> None:
    former = {
        "url": f"{old.url}/hook",
        "headers": {"x-old-key": OLD_KEY},
        "enabled": True,
        "events": ["MESSAGES_UPSERT"],
        "webhookByEvents": True,
        "webhookBase64": False,
    }
    gateway.webhooks[INSTANCE] = {**former, "id": "cmfyoow42000hov4xwkdug3lv"}
    customers, majlis = Customers(gateway), f"http://127.0.0.1:{daemon.port}/webhook/{INSTANCE}"
    daemon.settings["ingress"] = {
        "listen": f"127.0.0.1:{daemon.port}"
    }  # where it is found again after its death
    with customers.writing():
        customers.wait_for_more()

        # Beside the old system, which hands on what it gets; the first of it comes before the instance is there.
        old.hands_on_to = majlis
        customers.wait_for_more()
        done(daemon, "add", INSTANCE, "mode=shadow")
        customers.wait_for_more()
        daemon.wait_for(
            lambda: daemon.admin(f"/v1/instances/{INSTANCE}/shadow")["turns"], "it would have answered"
        )
        old.hands_on_to = ""

        # In front of it.
        done(daemon, "connect", INSTANCE, "--url", majlis, "--passthrough", "--yes", "--wait", "0")
        customers.wait_for_more()
        assert [text for text in gateway.texts() if not text.startswith("Old: ")] == [], "nothing is sent yet"
        assert not shared_rows(daemon)

        # Majlis answers, while something waits for the old system still. It dies once.
        old.order(503, 503)
        old.wait_until(lambda: len([one for one in old.came if one.status == 503]) > 0, "one is refused")
        done(daemon, "set", INSTANCE, "mode=live")
        customers.wait_for_more()
        daemon.restart()
        customers.wait_for_more()

        # And back, while customers wait in their windows.
        assert "nothing left to forward" in done(daemon, "rollback", INSTANCE, "--yes")
        stands = gateway.webhook_of(INSTANCE) or {}
        assert {name: stands[name] for name in former} == former
        answered = [len(gateway.texts(phone)) for phone in CONTACTS]
        customers.wait_for_more()

    def all_answered() -> bool:
        return all(
            len(replies(gateway, phone, "Old: ")) + len(replies(gateway, phone, r"Heard \d+: ")) >= len(said)
            for phone, said in customers.said.items()
        )

    daemon.wait_for(all_answered, "everybody is answered")
    check_books(daemon)
    assert not old.refused and not old.strange
    for phone, said in customers.said.items():
        by_old, by_majlis = replies(gateway, phone, "Old: "), replies(gateway, phone, r"Heard \d+: ")
        assert sorted(by_old + by_majlis) == sorted(said), "each once, by one of the two"
        place = {text: number for number, text in enumerate(said)}
        for one in (by_old, by_majlis):
            assert one == sorted(one, key=place.__getitem__), "in its order"
        assert len(by_old) >= 4 * STEP_MESSAGES and len(by_majlis) >= 2 * STEP_MESSAGES
    assert all(answered)
    waiting = daemon.status()
    assert (
        not waiting["forwards_waiting"] and not waiting["forwards_dead"] and not waiting["dead_letters_open"]
    )

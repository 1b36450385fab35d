"""What the gateway never delivered: an outage over real records, with a real daemon, gateway and model."""

from __future__ import annotations

import re
import time
from collections import Counter

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.acceptance.oracle import check_books
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

HOUR = 3_600
HEARD, EARLY, OLD = "5511900000001", "5511900000002", "5511900000003"
MISSED, LATE, RECENT = "5511900000004", "5511900000005", "5511900000006"
ANSWERED, TAKEN = "5511900000007", "5511900000008"
OWED = {"HEARD", "LOST", "EARLY", "MISSED-1", "MISSED-2", "LATE-1", "LATE-2", "RECENT"}
SETTINGS = {
    "instances": {"demo": {}},
    "sweep": {"enabled": True, "every_seconds": 1, "settle_seconds": 1},
    "monitor": {"every_seconds": 0.5},
}


class Records:
    """What customers and people of the business wrote, as the gateway keeps it."""

    def __init__(self, gateway: FakeEvolution) -> None:
        self._gateway = gateway
        self._now = int(time.time())
        self.posted: dict[str, dict[str, object]] = {}
        self._phones: dict[str, str] = {}

    def add(self, phone: str, id: str, minutes_ago: int, from_me: bool = False) -> None:
        at, text = self._now - 60 * minutes_ago, f"words of {id}"
        self._gateway.record("demo", phone, text, from_me=from_me, at=at, id=id)
        self._phones[id] = phone
        self.posted[id] = upsert("demo", phone, text, id, at, from_me=from_me)

    def phone(self, id: str) -> str:
        return self._phones[id]

    def date_last(self, minutes_ago: int) -> None:
        with self._gateway.lock:
            self._gateway.records[-1]["messageTimestamp"] = self._now - 60 * minutes_ago


def _sweeps(daemon: DaemonUnderTest) -> int:
    return len(daemon.events("sweep.done"))


def _mark(daemon: DaemonUnderTest) -> int:
    rows = daemon.rows("SELECT swept_until FROM majlis_sweeps WHERE swept_until IS NOT NULL")
    return int(rows[0]["swept_until"]) if rows else 0


def test_an_outage_loses_nothing_and_answers_nobody_twice(gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I1, I2, I6, I13: the daemon dies in the middle of a sweep, and is away for an hour of records."""
    model.text_for = lambda asked: f"Answer: {asked}"
    records = Records(gateway)
    # By the gateway's clock it is eight hours ago, so that is where the first sweep sets its mark.
    gateway.clock_skew_seconds = -8 * HOUR
    with daemon_under_test(evolution(gateway), openai(model), SETTINGS) as daemon:
        assert not _sweeps(daemon), "nothing came through our door: whoever has the webhook answers"
        opened = {"event": "connection.update", "instance": "demo", "data": {"state": "open"}}
        assert daemon.post(opened).status == 200
        daemon.wait_for(lambda: _mark(daemon), "the first sweep sets its mark")
        records.add(HEARD, "HEARD", 65)
        assert daemon.post(records.posted["HEARD"]).status == 200
        gateway.wait_for_deliveries(1)
        daemon.wait_settled()
        records.date_last(62)
        records.add(HEARD, "LOST", 64)  # while the reply to the first was written
        records.add(OLD, "OLD", 450)
        records.add(EARLY, "EARLY", 70)
        gateway.clock_skew_seconds = -HOUR
        daemon.wait_for(lambda: daemon.events("message.swept"), "the sweep finds the first of them")
        daemon.kill()

        records.add(MISSED, "MISSED-1", 50)
        records.add(MISSED, "MISSED-2", 49)
        records.add(ANSWERED, "ANSWERED", 40)
        records.add(ANSWERED, "PERSON", 35, from_me=True)
        records.add(TAKEN, "EARLIER", 32, from_me=True)
        records.add(TAKEN, "TAKEN", 30)
        records.add(LATE, "LATE-1", 20)
        records.add(LATE, "LATE-2", 19)
        records.add(RECENT, "RECENT", 2)
        assert daemon.post(records.posted["LATE-1"]).status == 0, "nobody is there"
        gateway.clock_skew_seconds = 0
        daemon.start()
        daemon.post_until_kept(
            records.posted["LATE-1"]
        )  # of this one the gateway has not given up the webhook
        daemon.wait_for(lambda: daemon.rows("SELECT 1 FROM majlis_heard WHERE message_id = 'RECENT'"), "all")
        daemon.wait_settled()
        seen = _sweeps(daemon)
        daemon.wait_for(lambda: _sweeps(daemon) > seen, "one more sweep")
        for id in ("MISSED-1", "LATE-2", "OLD", "RECENT"):  # the gateway delivers them after all
            assert daemon.post(records.posted[id]).document["status"] == "duplicate"
        check_books(daemon)

        answered = Counter((to.number, id) for to in gateway.deliveries for id in _named(to.text))
        assert answered == {(records.phone(id), id): 1 for id in OWED}
        assert len(gateway.deliveries) <= len(OWED) - 1, "a burst is one"
        rules = daemon.rows("SELECT contact, state, rule FROM majlis_turns WHERE rule <> '' ORDER BY contact")
        assert [tuple(turn) for turn in rules] == [
            (OLD, "suppressed", "too_old"),
            (ANSWERED, "suppressed", "already_answered"),
            (TAKEN, "suppressed", "taken_over"),
        ]
        assert not any(done["found"] for done in daemon.events("sweep.done")[seen:])
        [found] = [step for step in daemon.admin("/v1/explain/MISSED-1")["steps"] if "records" in str(step)]  # type: ignore[attr-defined]
        assert found
        status = daemon.status()
        assert [alert["flag"] for alert in status["alerts"]] == ["undelivered"]  # type: ignore[attr-defined]
        assert status["sweep"]["found"]["missed"] >= 4  # type: ignore[index]


def _named(text: str) -> list[str]:
    return re.findall(r"words of (\S+)", text)

"""What the gateway never delivered: an outage over real records, with a real daemon, gateway and model."""

from __future__ import annotations

import time

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.acceptance.oracle import check_books
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

HOUR = 3_600
HEARD, MISSED, RECENT = "5511900000001", "5511900000002", "5511900000003"
ANSWERED, OLD, TAKEN = "5511900000004", "5511900000005", "5511900000006"
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

    def add(self, phone: str, id: str, minutes_ago: int, from_me: bool = False) -> None:
        at, text = self._now - 60 * minutes_ago, f"words of {id}"
        self._gateway.record("demo", phone, text, from_me=from_me, at=at, id=id)
        self.posted[id] = upsert("demo", phone, text, id, at, from_me=from_me)


def _sweeps(daemon: DaemonUnderTest) -> int:
    return len(daemon.events("sweep.done"))


def _mark(daemon: DaemonUnderTest) -> int:
    rows = daemon.rows("SELECT swept_until FROM majlis_sweeps WHERE swept_until IS NOT NULL")
    return int(rows[0]["swept_until"]) if rows else 0


def test_webhooks_that_never_came_lose_nothing_and_answer_nobody_twice(
    gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I1, I2, I6, I13: the daemon is killed again in the middle of its sweep."""
    model.text_for = lambda asked: f"Answer: {asked}"
    records = Records(gateway)
    # By the gateway's clock it is eight hours ago, so that is where the first sweep sets its mark.
    gateway.clock_skew_seconds = -8 * HOUR
    with daemon_under_test(evolution(gateway), openai(model), SETTINGS) as daemon:
        daemon.wait_for(lambda: _mark(daemon), "the first sweep sets its mark")
        records.add(HEARD, "HEARD", 55)
        assert daemon.post(records.posted["HEARD"]).status == 200
        gateway.wait_for_deliveries(1)
        daemon.wait_settled()
        records.add(OLD, "OLD", 7 * 60)
        records.add(MISSED, "MISSED-1", 50)
        records.add(MISSED, "MISSED-2", 49)
        records.add(ANSWERED, "ANSWERED", 40)
        records.add(ANSWERED, "PERSON", 35, from_me=True)
        records.add(TAKEN, "EARLIER", 32, from_me=True)
        records.add(TAKEN, "TAKEN", 30)
        records.add(RECENT, "RECENT", 2)
        gateway.clock_skew_seconds = 0
        daemon.wait_for(lambda: daemon.events("message.swept"), "the sweep finds the first of them")
        daemon.kill()
        daemon.start()

        gateway.wait_for_deliveries(3)
        daemon.wait_settled()
        seen = _sweeps(daemon)
        daemon.wait_for(lambda: _sweeps(daemon) > seen, "one more sweep")
        for id in ("MISSED-1", "OLD", "RECENT"):  # the gateway delivers them after all
            assert daemon.post(records.posted[id]).document["status"] == "duplicate"
        check_books(daemon)

        assert gateway.texts(MISSED) == ["Answer: words of MISSED-1\nwords of MISSED-2"]
        assert gateway.texts(RECENT) == ["Answer: words of RECENT"]
        assert sorted(sent.number for sent in gateway.deliveries) == [HEARD, MISSED, RECENT]
        turns = daemon.rows("SELECT contact, state, rule FROM majlis_turns ORDER BY contact")
        assert [tuple(turn) for turn in turns] == [
            (HEARD, "done", ""),
            (MISSED, "done", ""),
            (RECENT, "done", ""),
            (ANSWERED, "suppressed", "already_answered"),
            (OLD, "suppressed", "too_old"),
            (TAKEN, "suppressed", "taken_over"),
        ]
        assert [done["found"] for done in daemon.events("sweep.done")[seen:]] == [0] * (
            _sweeps(daemon) - seen
        )
        shown = daemon.majlis("explain", "MISSED-1").stdout
        assert "records" in shown, shown
        alerts = daemon.status()["alerts"]
        assert [alert["flag"] for alert in alerts] == ["undelivered"]  # type: ignore[attr-defined]
        assert "sweep" in daemon.majlis("status").stdout

"""Notices to the business: a real Postgres, and a gateway and webhooks that fail on request."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import pytest
import trio

from actors.notices import ALERT_WEBHOOK, ESCALATION_WEBHOOK
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.ports import Notice
from daemon.config.schema import NoticeWebhook
from daemon.controls import notifier as notices
from daemon.controls.notifier import MAX_AGE_SECONDS, NoticeResult, Notifier, next_delay_seconds
from daemon.observe.feed import EventFeed
from daemon.web.client import HttpClient
from daemon.web.standard_webhooks import signature_in
from tests.support import patience
from tests.support.ledgers import LedgerWorld, open_world, until
from tests.support.memory import MemoryGateway
from tests.support.webhook_server import FakeWebhook

STAFF = "+966500000001"


class Room:
    """A ledger, a gateway, and what sends the notices. `another` is a second daemon on the same ledger."""

    def __init__(self, world: LedgerWorld, http: HttpClient) -> None:
        self.world = world
        self.gateway = MemoryGateway()
        self.feed = EventFeed(strict=True)
        self.webhooks: dict[str, str] = {}
        """The address of each instance's webhook, as configured."""
        self.signing_keys: tuple[bytes, ...] = ()
        self.notifier = self.another(http)

    def another(self, http: HttpClient) -> Notifier:
        return Notifier(
            self.world.db,
            self.gateway,
            http,
            self.feed,
            self.webhook,
            poll_seconds=0.05,
            draw=lambda: 0.5,
        )

    def webhook(self, instance: str, reference: str) -> NoticeWebhook | None:
        address = self.webhooks.get(instance) if reference == ALERT_WEBHOOK else None
        return None if address is None else NoticeWebhook(address, self.signing_keys)

    async def store(
        self,
        kind: Literal["whatsapp", "webhook"],
        target: str,
        body: str,
        once: str = "",
        instance: str = "demo",
    ) -> None:
        """`target`: a number, or the address that the instance's webhook has from now on."""
        if kind == "webhook":
            self.webhooks[instance], target = target, ALERT_WEBHOOK
        await self.world.ledger.notify((Notice(kind, instance, target, body, once),))

    async def until(self, sql: str) -> None:
        await until(self.world.db, f"SELECT EXISTS (SELECT FROM majlis_notices WHERE {sql})")

    async def let_come_due(self, where: str = "true") -> None:
        """Let the time until the next attempt pass; a lease ends as well."""
        await self.world.db.fetch(f"UPDATE majlis_notices SET due_at = now() WHERE {where}")
        self.notifier.nudge()

    async def rows(self) -> list[dict[str, object]]:
        return await self.world.rows("SELECT * FROM majlis_notices ORDER BY id")


@pytest.fixture
def webhook() -> Iterator[FakeWebhook]:
    with FakeWebhook().running() as server:
        yield server


@pytest.fixture
async def room(migrated_postgres_dsn: str) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn, 8) as world, HttpClient() as http:
        yield Room(world, http)


@pytest.fixture
async def running(room: Room) -> AsyncIterator[Room]:
    async with trio.open_nursery() as nursery:
        await nursery.start(room.notifier.run)
        yield room
        nursery.cancel_scope.cancel()


async def test_staff_and_webhooks_get_each_notice_once(running: Room, webhook: FakeWebhook) -> None:
    """What goes to a webhook with secrets is signed with each of them, as it stands."""
    running.signing_keys = (b"1" * 32, b"2" * 32)
    await running.store("whatsapp", STAFF, "demo: +5511 asks for a person")
    await running.store(
        "webhook", f"{webhook.url}/hook?key=SECRET", '{"event": "escalated", "text": "مرحبا"}'
    )
    running.notifier.nudge()
    [posted] = await trio.to_thread.run_sync(webhook.wait_for, 1)
    assert posted.document == {"event": "escalated", "text": "مرحبا"}
    for kind in ("whatsapp", "webhook"):
        await running.until(f"sent_at IS NOT NULL AND kind = '{kind}'")
    assert running.gateway.delivered == [(("demo", STAFF.lstrip("+")), "demo: +5511 asks for a person")]
    [_, row] = await running.rows()
    assert posted.id == posted.headers["webhook-id"] == str(row["id"])
    signature = signature_in(posted.headers, time.time())
    assert signature is not None
    keys = (*running.signing_keys, b"3" * 32)
    assert [signature.is_of(posted.body, key) for key in keys] == [True, True, False]
    await patience.until(lambda: running.feed.counters["notice.sent"] == 2)  # said after it is stored
    assert len(webhook.posted) == 1
    assert "SECRET" not in str(await running.rows())


async def test_a_webhook_whose_address_is_not_known_here_is_left_to_another_daemon(
    running: Room, webhook: FakeWebhook
) -> None:
    """It may be configured elsewhere; one that nobody knows is given up after a day, with the reason."""
    for instance in ("demo", "removed"):
        await running.world.ledger.notify((Notice("webhook", instance, ALERT_WEBHOOK, "{}"),))
    running.notifier.nudge()
    await running.until("reason = 'not_configured' AND instance = 'demo'")
    await running.until("reason = 'not_configured' AND instance = 'removed'")
    assert {(row["tries"], row["given_up_at"]) for row in await running.rows()} == {(0, None)}
    running.webhooks["demo"] = webhook.url
    await running.world.db.fetch(
        "UPDATE majlis_notices SET created_at = now() - interval '1 day' WHERE instance = 'removed'"
    )
    await running.let_come_due()
    await running.until("sent_at IS NOT NULL AND instance = 'demo'")
    await running.until("given_up_at IS NOT NULL AND instance = 'removed'")


async def test_an_address_stored_by_the_version_before_is_used_and_then_forgotten(
    running: Room, webhook: FakeWebhook
) -> None:
    """A notice that is told again later finds its address in the settings."""
    address = f"{webhook.url}/hook?key=SECRET"
    webhook.order(500)
    for body in ('{"event":"escalated","text":"x"}', '{"event":"limit_reached"}'):
        await running.world.ledger.notify((Notice("webhook", "demo", address, body),))
    running.notifier.nudge()
    await running.until("reason = 'answered_500'")
    assert {row["target"] for row in await running.rows()} == {address}, "it is to be called again"
    webhook.order(410)
    await running.world.db.fetch("UPDATE majlis_notices SET tries = 2")
    await running.let_come_due()
    await running.until("sent_at IS NOT NULL")
    assert [post.path for post in webhook.posted] == ["/hook?key=SECRET"] * 3
    [given_up, sent] = await running.rows()
    assert (given_up["reason"], given_up["target"]) == ("answered_410", ESCALATION_WEBHOOK)
    assert sent["target"] == ALERT_WEBHOOK


async def test_the_version_before_is_given_no_reference(room: Room) -> None:
    """During an upgrade: it would take one for a wrong address, and give the notice up at once."""
    await room.store("webhook", "http://127.0.0.1:9/", "{}")
    await room.world.ledger.notify((Notice("webhook", "demo", "http://127.0.0.1:9/", "{}"),))
    old = await room.world.rows("SELECT target FROM majlis_claim_notices('webhook', 8, 60)")
    new = await room.world.rows("SELECT target FROM majlis_claim_notices('webhook', 8, 60, true)")
    assert [row["target"] for row in (*old, *new)] == ["http://127.0.0.1:9/", ALERT_WEBHOOK]


async def test_a_notice_is_found_without_a_nudge(running: Room) -> None:
    """Another daemon stored it, or died before it could nudge."""
    await running.store("whatsapp", STAFF, "look")
    await running.until("sent_at IS NOT NULL")


async def test_a_nudge_takes_effect_at_once(room: Room) -> None:
    async with HttpClient() as http, trio.open_nursery() as nursery:
        notifier = Notifier(room.world.db, room.gateway, http, room.feed, room.webhook, poll_seconds=600)
        await nursery.start(notifier.run)
        for number in range(2):
            await room.store("whatsapp", STAFF, "look")
            notifier.nudge()
            await room.until(f"sent_at IS NOT NULL OFFSET {number}")
        nursery.cancel_scope.cancel()


async def test_the_same_alert_is_sent_once(running: Room, webhook: FakeWebhook) -> None:
    for _ in range(3):
        await running.store("webhook", webhook.url, "{}", once="limit/rate/2026-01-01/demo")
    running.notifier.nudge()
    await running.until("sent_at IS NOT NULL")
    assert len(await running.rows()) == 1


@pytest.mark.parametrize(
    ("outcome", "reason", "tries"),
    [
        (NotSent("connection_closed", "hold"), "connection_closed", 0),
        (NotSent("not_on_whatsapp", "refuse"), "not_on_whatsapp", 1),
        (Unknown("timed_out"), "timed_out", 1),
    ],
)
async def test_a_message_that_failed_is_sent_again(
    running: Room, outcome: SendOutcome, reason: str, tries: int
) -> None:
    """A gateway that is away does not count as an attempt. If the outcome is unknown, it may be sent twice."""
    running.gateway.script = [(False, outcome)]
    await running.store("whatsapp", STAFF, "look")
    running.notifier.nudge()
    await running.until("reason IS NOT NULL")
    [row] = await running.rows()
    assert (row["reason"], row["tries"], row["sent_at"]) == (reason, tries, None)
    await patience.until(lambda: running.feed.reasons("notice.failed") == {reason: 1})
    await running.let_come_due()
    await running.until("sent_at IS NOT NULL")
    assert len(running.gateway.delivered) == 1


async def test_a_notice_that_the_gateway_reports_as_sent_is_done(running: Room) -> None:
    running.gateway.script = [(True, Unknown("sent_but_unrecorded", may_resend=False))]
    await running.store("whatsapp", STAFF, "look")
    running.notifier.nudge()
    await running.until("sent_at IS NOT NULL")
    assert len(running.gateway.delivered) == 1


@pytest.mark.parametrize(
    ("status", "tries"), [(500, 0), (503, 0), (408, 0), (429, 0), (400, 1), (401, 1), (404, 1), (302, 1)]
)
async def test_a_webhook_that_answers_badly_is_called_again(
    running: Room, webhook: FakeWebhook, status: int, tries: int
) -> None:
    """The id is the same each time, and redirects are not followed."""
    with FakeWebhook().running() as elsewhere:
        webhook.order(status, headers={"location": elsewhere.url})
        await running.store("webhook", webhook.url, "{}")
        running.notifier.nudge()
        await running.until(f"reason = 'answered_{status}'")
        [row] = await running.rows()
        assert row["tries"] == tries
        await running.let_come_due()
        await running.until("sent_at IS NOT NULL")
        assert (len({posted.id for posted in webhook.posted}), len(webhook.posted)) == (1, 2)
        assert elsewhere.posted == []


@pytest.mark.parametrize("fault", ["reset", "down"])
async def test_a_webhook_that_cannot_be_reached_is_called_again(
    running: Room, webhook: FakeWebhook, fault: str
) -> None:
    if fault == "down":
        await trio.to_thread.run_sync(webhook.down)
    else:
        webhook.order(0, fault="reset")
    await running.store("webhook", webhook.url, "{}")
    running.notifier.nudge()
    await running.until("reason IS NOT NULL")
    [row] = await running.rows()
    assert row["reason"] == ("connect_failed" if fault == "down" else "connection_broken")
    if fault == "down":
        await trio.to_thread.run_sync(webhook.up)
    await running.let_come_due()
    await running.until("sent_at IS NOT NULL")


async def test_a_webhook_that_hangs_delays_no_other(running: Room, webhook: FakeWebhook) -> None:
    """I9: neither WhatsApp nor other webhooks, however many notices wait for the dead one."""
    webhook.order(*[0] * 20, fault="hang")
    for number in range(20):
        await running.store("webhook", webhook.url, json.dumps({"number": number}))
    running.notifier.nudge()
    await trio.to_thread.run_sync(webhook.wait_for, 1)
    with FakeWebhook().running() as well:
        for number in range(3):
            await running.store("webhook", well.url, json.dumps({"number": number}), instance="other")
        await running.store("whatsapp", STAFF, "look")
        running.notifier.nudge()
        posted = await trio.to_thread.run_sync(well.wait_for, 3)
        assert [post.document for post in posted] == [{"number": number} for number in range(3)]
        await running.until("sent_at IS NOT NULL AND kind = 'whatsapp'")
    assert len(webhook.posted) == 1, "one at a time"


async def test_a_notice_that_is_refused_repeatedly_is_given_up_and_kept(
    running: Room, webhook: FakeWebhook
) -> None:
    webhook.order(*[410] * 5)
    await running.store("webhook", webhook.url, "{}")
    running.notifier.nudge()
    for tries in range(1, notices.MAX_REFUSALS):
        await running.until(f"tries = {tries}")
        await running.let_come_due()
    await running.until("given_up_at IS NOT NULL")
    [row] = await running.rows()
    assert (row["reason"], row["tries"], row["sent_at"]) == ("answered_410", notices.MAX_REFUSALS, None)
    await patience.until(lambda: running.feed.reasons("notice.given_up") == {"answered_410": 1})


async def test_a_target_that_is_away_for_a_day_is_given_up(running: Room) -> None:
    # It may be sent for the first time before it is made a day old.
    running.gateway.script = [(False, NotSent("connection_closed", "hold"))] * 3
    await running.store("whatsapp", STAFF, "look")
    await running.world.db.fetch("UPDATE majlis_notices SET created_at = now() - interval '1 day'")
    running.notifier.nudge()
    await running.until("given_up_at IS NOT NULL")


async def test_a_notice_that_crashes_does_not_affect_others(running: Room) -> None:
    async def crash(_what: str) -> None:
        await trio.lowlevel.checkpoint()
        running.gateway.fault = None
        raise RuntimeError(STAFF)

    running.gateway.fault = crash
    await running.store("whatsapp", STAFF, "look")
    running.notifier.nudge()
    await running.until("reason = 'crashed'")
    await running.let_come_due()
    await running.until("sent_at IS NOT NULL")
    assert running.feed.counters["daemon.problem"] == 1


async def test_two_daemons_send_each_notice_once(room: Room) -> None:
    async with HttpClient() as http, trio.open_nursery() as nursery:
        for number in range(24):
            await room.store("whatsapp", f"{STAFF}{number % 6}", f"notice {number}")
        await nursery.start(room.notifier.run)
        await nursery.start(room.another(http).run)
        await until(room.world.db, "SELECT NOT EXISTS (SELECT FROM majlis_notices WHERE sent_at IS NULL)")
        nursery.cancel_scope.cancel()
    assert sorted(text for _, text in room.gateway.delivered) == sorted(f"notice {n}" for n in range(24))
    for target in range(6):
        told = [text for to, text in room.gateway.delivered if to.contact.endswith(f"1{target}")]
        assert told == [f"notice {n}" for n in range(24) if n % 6 == target], "in order, for each target"


async def test_a_daemon_that_died_in_the_middle_leaves_the_notice_to_be_sent_again(room: Room) -> None:
    """At least once: the lease ends, then another daemon sends it."""
    arrived = trio.Event()

    async def die(_what: str) -> None:
        arrived.set()
        await trio.sleep_forever()

    room.gateway.fault = die
    await room.store("whatsapp", STAFF, "look")
    async with trio.open_nursery() as nursery:
        await nursery.start(room.notifier.run)
        await arrived.wait()
        nursery.cancel_scope.cancel()
    room.gateway.fault = None
    async with HttpClient() as http, trio.open_nursery() as nursery:
        await nursery.start(room.another(http).run)
        [row] = await room.world.rows("SELECT due_at > now() + interval '60 s' AS leased FROM majlis_notices")
        assert row["leased"]
        await room.let_come_due()
        await room.until("sent_at IS NOT NULL")
        nursery.cancel_scope.cancel()


async def test_a_sender_whose_lease_passed_cannot_record_a_failure(room: Room) -> None:
    """After the lease ended, its holder's failure does not count, but its success does."""
    await room.store("whatsapp", STAFF, "look")
    claim, fail = (
        "SELECT * FROM majlis_claim_notices('whatsapp', 8, 60)",
        "SELECT majlis_notice_failed($1, $2, 'x', true, 5)",
    )
    [late] = await room.world.rows(claim)
    await room.world.db.fetch("UPDATE majlis_notices SET due_at = now()")
    [holder] = await room.world.rows(claim)
    await room.world.db.fetch(fail, late["id"], late["due_at"])
    assert [(row["due_at"], row["tries"]) for row in await room.rows()] == [(holder["due_at"], 0)]
    for _ in range(2):
        await room.world.db.fetch("SELECT majlis_notice_sent($1)", late["id"])
    await room.world.db.fetch(fail, holder["id"], holder["due_at"])
    [row] = await room.rows()
    assert row["sent_at"] is not None
    assert (row["reason"], row["tries"]) == (None, 1)


async def test_finished_notices_are_deleted_after_a_time(room: Room) -> None:
    for number, (column, days) in enumerate(itertools.product(("sent_at", "given_up_at"), (6, 8, 31))):
        await room.world.db.fetch(
            f"INSERT INTO majlis_notices (kind, instance, target, body, {column})"
            f" VALUES ('whatsapp', 'demo', $1, '', now() - {days} * interval '1 day')",
            str(number),
        )
    assert await room.world.db.value("SELECT majlis_forget_notices(2)") == 2
    assert await room.world.db.value("SELECT majlis_forget_notices(500)") == 1
    assert {row["target"] for row in await room.rows()} == {"0", "3", "4"}


async def test_a_ledger_error_does_not_stop_the_notifier(room: Room) -> None:
    """It is reported, and the notifier looks again."""
    tail = room.feed.tail()
    await room.world.db.fetch("ALTER TABLE majlis_notices RENAME TO hidden")
    async with trio.open_nursery() as nursery:
        await nursery.start(room.notifier.run)
        with trio.fail_after(patience.PATIENCE_SECONDS):
            assert (await tail.receive())["event"] == "daemon.problem"
        tail.close()
        await room.world.db.fetch("ALTER TABLE hidden RENAME TO majlis_notices")
        await room.store("whatsapp", STAFF, "look")
        await room.until("sent_at IS NOT NULL")
        nursery.cancel_scope.cancel()


def test_retries_become_rarer_and_end() -> None:
    away, doubtful = NoticeResult("away", "connect_failed"), NoticeResult("doubtful", "timed_out")
    delays = [next_delay_seconds(away, 0, age, 0.5) for age in (0, 8, 60, 1_000, 5_000)]
    assert delays == [5.0, 5.0, 30.0, 500.0, 600.0]
    assert next_delay_seconds(away, 0, MAX_AGE_SECONDS - 100, 0.5) is None
    assert next_delay_seconds(doubtful, 19, 60, 0.5) == 30.0
    assert next_delay_seconds(doubtful, 20, 60, 0.5) is None
    assert next_delay_seconds(NoticeResult("refused"), 2, 60, 0.5) == 30.0
    assert next_delay_seconds(NoticeResult("refused"), 3, 60, 0.5) is None
    assert next_delay_seconds(NoticeResult("away", "answered_429", 90.0), 0, 0, 0.5) == 90.0
    assert (
        4.0 <= (next_delay_seconds(away, 0, 0, 0.0) or 0) < (next_delay_seconds(away, 0, 0, 0.99) or 0) <= 6.0
    )


async def test_no_target_appears_in_the_log(
    running: Room, webhook: FakeWebhook, capsys: pytest.CaptureFixture[str]
) -> None:
    """I11."""
    tail = running.feed.tail()
    webhook.order(500)
    await running.store("webhook", f"{webhook.url}/SECRET", '{"contact": "5511900000001"}')
    running.gateway.script = [(False, Unknown("timed_out")), (True, Sent("g"))]
    await running.store("whatsapp", STAFF, "SECRET")
    running.notifier.nudge()
    with trio.fail_after(patience.PATIENCE_SECONDS):
        told = [await tail.receive(), await tail.receive()]
    tail.close()
    assert {event["event"] for event in told} == {"notice.failed"}
    for secret in ("SECRET", "966500000001", "5511900000001", str(webhook.port)):
        assert secret not in str(told) + "".join(capsys.readouterr())

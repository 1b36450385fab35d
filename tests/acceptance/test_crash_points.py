"""SIGKILL at every named step of a message; after a restart everything acknowledged is answered exactly once.

`MAJLIS_CRASH_ROUNDS` repeats every kill (default 1) with other burst lengths and moments.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from daemon.web.client import HttpFailed
from tests.acceptance.harness import DaemonUnderTest, Posted, Said, daemon_under_test, evolution, openai
from tests.acceptance.oracle import Contact, check_books, wait_answered
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS

ROUNDS = range(int(os.environ.get("MAJLIS_CRASH_ROUNDS", "1")))
WINDOW_SECONDS = 5.0
OPEN = "open"
"""An instance whose windows nothing but a flush closes: however slowly a burst is posted, it is one batch."""
PARTS = [2] if len(ROUNDS) == 1 else [1, 2, 3]
EACH_ROUND = pytest.mark.parametrize("seed", ROUNDS)
MANY_PARTS = "in three parts"
PRICE = 1_000.0
"""Per million tokens."""


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """One data directory for all kills; each test leaves it ready and with nothing to do."""
    windows = {"demo": 0.6, "patient": WINDOW_SECONDS, OPEN: 600}
    instances = {
        "instances": {name: {"batching": {"window_seconds": seconds}} for name, seconds in windows.items()}
    }
    model.text_for = _answer
    priced = openai(model, price_per_million_input_tokens=PRICE)
    with daemon_under_test(evolution(gateway), priced, instances) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def well_again(daemon: DaemonUnderTest) -> Iterator[None]:
    """The daemon runs when a test begins, whatever the previous one left; afterwards its counters must add up."""
    if not daemon.is_alive:
        daemon.start()
    yield
    check_books(daemon)


def _answer(asked: str) -> str:
    if MANY_PARTS in asked:
        return "\n\n".join(f"part {number} for {asked} {'word ' * 700}" for number in (1, 2, 3))
    return f"Answer 0: {asked}"


def _burst(daemon: DaemonUnderTest, count: int) -> Contact:
    """So many messages of a new contact, the first of them edited, and the end of their window."""
    contact = Contact(OPEN)
    daemon.burst(*(contact.says() for _ in range(count)))
    assert daemon.post(contact.corrects(0)).document["status"] == "accepted"
    with suppress(HttpFailed):  # an ordered kill may come before the answer
        daemon.flush(OPEN, contact.phone)
    return contact


def _any_count(seed: int) -> int:
    """Fewer than close a window by themselves: the kill must not come before the last one is acknowledged."""
    return random.Random(seed).choice([2, 1, 3, 4])


@EACH_ROUND
@pytest.mark.parametrize(
    ("point", "status_of_retry"), [("request_read", "accepted"), ("appended", "duplicate")]
)
def test_killed_before_the_ack(
    daemon: DaemonUnderTest,
    gateway: FakeEvolution,
    model: FakeOpenAI,
    point: str,
    status_of_retry: str,
    seed: int,
) -> None:
    """I1, I2 (tests 1, 2): without a 2xx, the gateway's retry makes exactly one entry."""
    contact = Contact()
    said = contact.says()
    daemon.crash_at(point)
    assert daemon.post(said).status == 0
    daemon.wait_crashed()
    daemon.start()
    assert daemon.post_until_kept(said).document["status"] == status_of_retry
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)


@EACH_ROUND
def test_killed_in_the_window(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, seed: int
) -> None:
    """I2, I7 (test 3): the reply comes at the original deadline, not a whole window after the restart, and answers what
    was said as it was edited before the kill and after it."""
    opened = time.time()
    contact = Contact("patient")
    daemon.burst(contact.says(), contact.says())
    corrected = contact.corrects(0)
    assert daemon.post(corrected).document["status"] == "accepted"
    acknowledged = time.time()
    # The moment of the kill is what varies: in the middle of the window.
    time.sleep(WINDOW_SECONDS * random.Random(seed).uniform(0.2, 0.4))
    daemon.restart()
    assert (
        daemon.post(corrected).status == 200
    )  # the gateway says it again, to a daemon that has forgotten it
    left = daemon.show("patient", contact.phone)["closes_in_seconds"]
    asked_at = time.time()
    if left is None:  # a start that took so long found it closed
        assert asked_at >= opened + WINDOW_SECONDS
    else:
        assert float(str(left)) <= acknowledged + WINDOW_SECONDS - asked_at + 0.5
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    reply = next(sent for sent in gateway.deliveries if sent.number == contact.phone)
    assert reply.at >= opened + WINDOW_SECONDS


@EACH_ROUND
@pytest.mark.parametrize(
    ("point", "questions"),
    [
        ("frozen", 1),
        ("begun", 1),
        ("responder_answered", 2),
        ("answer_stored", 1),
        ("claimed", 1),
        ("send_returned", 1),
        ("part_settled", 1),
        ("finished", 1),
        ("committed", 1),
    ],
)
def test_killed_in_the_turn(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, point: str, questions: int, seed: int
) -> None:
    """I2, I3, I6 (tests 4–8, 10, 12): the same batch is resumed, finished steps are skipped, one reply."""
    daemon.crash_at(point)
    contact = _burst(daemon, _any_count(seed))
    daemon.wait_crashed()
    asked_before = len(contact.batches_at(model))
    daemon.start()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway, spare_questions=questions - 1)
    assert len(contact.batches_at(model)) == questions
    assert asked_before == (0 if point in ("frozen", "begun") else 1)
    (turn,) = _turns(daemon, contact)
    assert turn["state"] == "done"
    assert _part(turn)["state"] == "sent"
    assert _part(turn)["gateway_id"], "the reply is not bound to the gateway's message"
    assert _part(turn)["resends"] == 0, "what never left is no resend"


@EACH_ROUND
@pytest.mark.parametrize("point", ["superseded", "widened", "begun"])
def test_killed_while_a_batch_is_widened(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, point: str, seed: int
) -> None:
    """I2, I3, I6: after each step of taking in what is written during the call; one answer has everything in view."""
    gate = model.gate()
    contact = _burst(daemon, 2)
    gate.wait_arrived()
    daemon.crash_at(point)
    said = contact.says()
    daemon.post(said)  # the kill may come before the answer
    daemon.wait_crashed()
    gate.release()
    daemon.start()
    assert daemon.post_until_kept(said).document["status"] == "duplicate"
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert [len(batch) for batch in contact.batches_at(model)] == [2, 3]
    ended, *superseded = [turn["state"] for turn in _turns(daemon, contact)]
    # Killed between the first two steps, the narrow batch begins once more, and is superseded before it asks.
    assert (ended, superseded) == ("done", ["superseded"] * (2 if point == "superseded" else 1))


def test_what_is_written_during_the_call_ends_it_and_the_third_time_waits(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I3, I6: the lost fourth message. What the calls have cost that were given up is estimated, and said to be."""
    contact, calls = Contact(OPEN), []
    before = daemon.admin("/v1/cost?days=1")
    for _ in range(4):
        calls.append(model.gate())
        daemon.burst(contact.says())
        if len(calls) == 1:
            daemon.flush(OPEN, contact.phone)
        if len(calls) < 4:
            calls[-1].wait_arrived()
    daemon.flush(OPEN, contact.phone)
    for call in calls:
        call.release()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert [len(batch) for batch in contact.batches_at(model)] == [1, 2, 3, 1]
    assert len(contact.replies_at(gateway)) == 2
    states = [turn["state"] for turn in _turns(daemon, contact)]
    assert states == ["done", "done", "superseded", "superseded"]
    after = daemon.admin("/v1/cost?days=1")
    assert int(str(after["superseded"])) - int(str(before["superseded"])) == 2
    assert float(str(after["cost_estimated"])) > float(str(before["cost_estimated"]))


def test_what_is_written_once_the_answer_is_stored_waits(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I3: it belongs to the next batch."""
    gate = gateway.gate("before_send", lambda _text: True)
    contact = _burst(daemon, 2)
    gate.wait_arrived()
    daemon.burst(contact.says())
    daemon.flush(OPEN, contact.phone)
    gate.release()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert [len(batch) for batch in contact.batches_at(model)] == [2, 1]


@EACH_ROUND
@pytest.mark.parametrize("where", ["before_send", "after_send"])
def test_killed_while_the_gateway_sends(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, where: str, seed: int
) -> None:
    """I6 (test 9): request written, no response read; the gateway's records are evidence, nothing is sent again."""
    gate = gateway.gate("before_send" if where == "before_send" else "after_send", lambda _text: True)
    contact = _burst(daemon, 2)
    tag = contact.tag
    gate.wait_arrived()
    daemon.kill()
    gate.release()
    gateway.wait_until(lambda: any(tag in sent.text for sent in gateway.deliveries), "the reply left")
    daemon.start()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert sum(tag in text for text in gateway.sends) == 1


@EACH_ROUND
@pytest.mark.parametrize("nth", PARTS)
@pytest.mark.parametrize("point", ["claimed", "send_returned", "part_settled"])
def test_killed_between_the_parts_of_a_reply(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, point: str, nth: int, seed: int
) -> None:
    """I4, I6 (test 11): sent parts are not repeated, the others follow in order."""
    daemon.crash_at(point, nth)
    contact = Contact()
    daemon.burst(contact.says(MANY_PARTS))
    daemon.wait_crashed()
    daemon.start()
    daemon.wait_for(lambda: len(contact.replies_at(gateway)) >= 3, "three parts came")
    daemon.wait_settled()
    starts = [reply[: len("part 1")] for reply in contact.replies_at(gateway)]
    assert starts == ["part 1", "part 2", "part 3"]
    assert len(contact.batches_at(model)) == 1


@EACH_ROUND
@pytest.mark.parametrize("point", ["begun", "answer_stored", "send_returned"])
def test_killed_and_restarted_with_an_older_copy_of_redis(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, point: str, seed: int
) -> None:
    """I2, I6: what Redis forgot of a turn is in the ledger: one reply, also when all of it comes again."""
    daemon.wait_settled()
    older = daemon.root / "older"
    shutil.copytree(daemon.data_dir / "redis", older)
    daemon.crash_at(point)
    contact = _burst(daemon, 2)
    daemon.wait_crashed()
    shutil.rmtree(daemon.data_dir / "redis")
    older.rename(daemon.data_dir / "redis")
    daemon.start()
    daemon.wait_for(lambda: daemon.events("turn.done"), "the turn ended")
    assert len(daemon.events("turn.resumed")) == 1
    contact.check(model, gateway)
    daemon.burst(*contact.said)
    daemon.flush(OPEN, contact.phone)
    suppressed = [("suppressed", "duplicate"), ("done", "")]
    daemon.wait_for(
        lambda: [(turn["state"], turn["rule"]) for turn in _turns(daemon, contact)] == suppressed,
        "the repeated messages are suppressed",
    )
    contact.check(model, gateway)
    assert not daemon.rows("SELECT FROM majlis_open_turns")


@EACH_ROUND
def test_killed_three_times_inside_recovery(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, seed: int
) -> None:
    """I10, I13 (test 13): recovery is idempotent."""
    daemon.crash_at("frozen")
    contact = _burst(daemon, 2)
    daemon.wait_crashed()
    for _ in range(3):
        daemon.crash_at("recovering")
        daemon.start(until_ready=False)
        daemon.wait_crashed()
    daemon.start()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)


@EACH_ROUND
def test_killed_at_every_step_in_a_row(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, seed: int
) -> None:
    """I2, I3, I6: one batch survives a kill at each of its steps in turn, and is answered once."""
    points = [
        "frozen",
        "begun",
        "responder_answered",
        "answer_stored",
        "claimed",
        "send_returned",
        "part_settled",  # with the last part the turn is finished
        "committed",
    ]
    for point in points:
        daemon.crash_at(point)
    contact = _burst(daemon, _any_count(seed))
    for _ in points[1:]:
        daemon.wait_crashed()
        daemon.start(until_ready=False)
    daemon.wait_crashed()
    daemon.start()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway, spare_questions=1)
    assert [turn["state"] for turn in _turns(daemon, contact)] == ["done"]


@EACH_ROUND
def test_killed_at_any_moment_under_traffic(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, seed: int
) -> None:
    """I2, I3, I4, I6: several conversations, a gateway that retries, and kills at seeded random moments."""
    draw = random.Random(seed)
    contacts = [Contact() for _ in range(12)]
    with ThreadPoolExecutor(len(contacts)) as pool:
        talks = [pool.submit(_talk, daemon, contact, draw.random()) for contact in contacts]
        for _ in range(3):
            time.sleep(draw.uniform(0.3, 1.5))  # the moment of the kill is what varies
            daemon.restart()
        acknowledged = [answer for talk in talks for answer in talk.result(timeout=4 * PATIENCE_SECONDS)]
    assert {answer.status for answer in acknowledged} == {200}
    wait_answered(daemon, gateway, *contacts)
    for contact in contacts:
        contact.check(model, gateway, spare_questions=3)


def _talk(daemon: DaemonUnderTest, contact: Contact, seconds_between: float) -> list[Posted]:
    answers = []
    for _ in range(4):
        said: Said = contact.says()
        answers.append(daemon.post_until_kept(said))
        time.sleep(seconds_between)  # people write with pauses: windows close between
    return answers


def _turns(daemon: DaemonUnderTest, contact: Contact) -> list[dict[str, object]]:
    turns = daemon.show(contact.instance, contact.phone)["turns"]
    assert isinstance(turns, list)
    return turns


def _part(turn: dict[str, object]) -> dict[str, object]:
    parts = turn["parts"]
    assert isinstance(parts, list)
    (part,) = parts
    assert isinstance(part, dict)
    return part

"""A gateway that refuses with status 201, or takes its word back later: real daemon, gateway and stores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

_numbers = count(1)


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    gateway.channel = "business"
    model.text_for = lambda asked: f"Answer: {asked}"
    with daemon_under_test(evolution(gateway), openai(model), {"instances": {"demo": {}}}) as daemon:
        yield daemon


def ask(daemon: DaemonUnderTest, text: str, phone: str = "", lid: str | None = None) -> str:
    phone = phone or f"55118{next(_numbers):08d}"
    said = upsert("demo", phone, text, f"RS{next(_numbers)}", int(time.time()), lid=lid)
    assert daemon.post(said).status == 200
    return phone


def wait_for_letter(daemon: DaemonUnderTest, reason: str, contact: str) -> int:
    """Wait until the contact has such a dead letter, and it is listed; returns its number."""
    sql = (
        "SELECT d.id FROM majlis_dead_letters d JOIN majlis_turns t ON t.id = d.turn_id"
        " WHERE d.reason = $1 AND t.contact = $2"
    )
    [row] = daemon.wait_for(lambda: daemon.rows(sql, reason, contact), f"a dead letter {reason}")
    listed: Any = daemon.admin("/v1/dead")["letters"]
    assert reason in [one["reason"] for one in listed if one["id"] == row["id"]]
    return int(row["id"])


def test_a_refusal_with_status_201_is_no_answer(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I6, I9: a closed window is a dead letter; a bad key holds, says so, and the reply leaves once it is mended."""
    gateway.order("meta_error", code=131047, when=lambda text: "late" in text)
    gateway.order("meta_error", code=190, times=1_000, when=lambda text: "key" in text)
    late, held = ask(daemon, "late question"), ask(daemon, "key question")
    wait_for_letter(daemon, "window_closed", late)
    daemon.wait_for(
        lambda: "meta_190" in str(daemon.admin("/v1/actors")["actors"]),
        "the held reply names its cause",
    )
    assert (gateway.texts(late), gateway.texts(held)) == ([], [])
    gateway.clear_orders()
    daemon.majlis("resume", f"demo/{held}")  # refused where the reply is just being sent: as good
    daemon.wait_for(lambda: gateway.texts(held) == ["key question"], "the held reply leaves")
    assert gateway.texts(late) == []


def test_a_send_that_fails_later_is_a_visible_dead_letter(
    daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I9: the customer never got it: nobody may believe so. It is sent again only by an operator."""
    phone = ask(daemon, "hello")
    sql = "SELECT state FROM majlis_turns WHERE contact = $1 ORDER BY id"
    daemon.wait_for(lambda: [row["state"] for row in daemon.rows(sql, phone)] == ["done"], "it is answered")
    [sent] = [one for one in gateway.deliveries if one.number == phone]
    for _ in range(2):
        assert daemon.post(gateway.failed_update(sent)).status == 200
    number = wait_for_letter(daemon, "failed_later", phone)
    assert [row["state"] for row in daemon.rows(sql, phone)] == ["dead"]
    assert len(gateway.texts(phone)) == 1
    assert daemon.majlis("dead", "retry", str(number)).returncode == 0
    daemon.wait_for(lambda: len(gateway.texts(phone)) == 2, "the operator's retry is answered")
    assert daemon.rows(sql, phone)[0]["state"] == "dead"


def test_a_refused_lid_is_answered_when_its_number_is_learned(
    daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I9: the customer writes again, and this time the gateway says which number is behind the LID."""
    number = next(_numbers)
    phone, lid = f"55118{number:08d}", f"1684{number:08d}"
    gateway.order("not_on_whatsapp", when=lambda text: "first" in text)
    payload = upsert("demo", phone, "first", f"RS{next(_numbers)}", int(time.time()), lid=lid)
    key = payload["data"]["key"]  # type: ignore[index]
    del key["remoteJidAlt"]
    assert daemon.post(payload).status == 200
    wait_for_letter(daemon, "not_on_whatsapp", f"{lid}@lid")
    ask(daemon, "second", phone=phone, lid=lid)
    daemon.wait_for(
        lambda: any("first" in text for text in gateway.texts(phone)), "what was refused is answered too"
    )
    assert len([text for text in gateway.texts(phone) if "first" in text]) == 1

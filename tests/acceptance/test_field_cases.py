"""Cases from the field end as the people wanted who run such a service: see `field_cases/`.

One daemon plays them all at once; they keep apart by contacts. Windows are long: a case closes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.field_cases.play import OUR_JID, Case, FakeModelAnswers, Play, cases, faults
from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI

CASES = list(cases())
AT_ONCE = 8


@pytest.fixture(scope="module")
def played(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """A daemon that has been through all of them; what breaks one shows in its own test."""
    answers = FakeModelAnswers()
    model.text_for = answers
    asks = openai(model)
    instances = {
        "shop": {},
        "ai": asks,
        "desk": {},
        "talks": {"context": {"reactions": "answer"}},
        "club": {
            "contacts": {"allow": ["+966 50 777*"], "ignore": ["+966 50 777 0009", "+55 31 99634 8800"]}
        },
        "brief": {"machines": {"replies": 10}},
        "raw": {**asks, "reply": {"formatting": "unchanged"}},
        "brief_parts": {**asks, "reply": {"max_chars": 600}},
    }
    settings = {
        "batching": {"window_seconds": 600},
        "escalation": {"notify_numbers": ["+966 50 999 0001"]},
        "takeover": {"automatic_texts": ["We are closed today. Eid Mubarak!"]},
        "timezone": "Asia/Riyadh",
        "hours": ["sun-sat 00:00-24:00"],
        "instances": instances,
    }
    with daemon_under_test(evolution(gateway), settings) as daemon:
        daemon.rows("UPDATE whatsapp_instances SET escalation_enabled = true WHERE instance_name = 'desk'")
        daemon.majlis("reload")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(lambda case: _play(case, daemon, answers), CASES))
        _broken.update({case.name: error for case, error in zip(CASES, outcomes, strict=True) if error})
        yield daemon


_broken: dict[str, str] = {}


def _play(case: Case, daemon: DaemonUnderTest, answers: FakeModelAnswers) -> str:
    try:
        Play(case, daemon, answers).run()
    except Exception as error:  # each case fails for itself
        return repr(error)
    return ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_ends_as_wanted(
    case: Case, played: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    assert not _broken.get(case.name)
    assert faults(case, played, gateway, model) == []


def test_the_cases_are_apart() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert OUR_JID.partition("@")[0] not in {case.contact for case in CASES}

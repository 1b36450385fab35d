"""What Meta's error codes prove: the table, and the codes that are not in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.outcome import NotSent, Unknown
from daemon.gateways.meta_errors import MAX_CODE, MetaError, find_error, refusal

ERROR = {"message": "(#190) x", "type": "OAuthException", "code": 190, "fbtrace_id": "A"}


@pytest.mark.parametrize(
    "code", [0, 190, 3, 10, 200, 299, 131005, 33, 368, 131031, 131037, 131042, 131045, 133010]
)
def test_a_key_a_right_or_an_account_holds_and_names_its_code(code: int) -> None:
    """An operator mends it, and every reply then leaves: none may become a dead letter meanwhile."""
    held = refusal(MetaError(code))
    assert isinstance(held, NotSent)
    assert (held.remedy, held.reason) == ("hold", f"meta_{code}")


@pytest.mark.parametrize("code", [4, 80007, 130429, 131056, 131048, 131057])
def test_a_rate_holds_for_a_while_that_the_header_may_set(code: int) -> None:
    held, asked = refusal(MetaError(code)), refusal(MetaError(code), retry_after_seconds=11.0)
    assert isinstance(held, NotSent)
    assert held.remedy == "hold"
    assert 0 < (held.retry_after_seconds or 0) <= 3600
    assert asked == NotSent(f"meta_{code}", "hold", 11.0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (131047, "window_closed"),
        (470, "window_closed"),
        (131026, "undeliverable"),
        (131051, "unsupported_type"),
        (131050, "opted_out"),
        (100, "bad_request"),
        (132001, "template_refused"),
        (131999, "meta_131999"),
    ],
)
def test_what_no_waiting_mends_is_refused(code: int, reason: str) -> None:
    assert refusal(MetaError(code), 400) == NotSent(reason, "refuse")


@pytest.mark.parametrize("code", [1, 2, 131000, 131016, 133004])
def test_a_failure_inside_meta_proves_nothing(code: int) -> None:
    """I6: neither sent nor not sent: it is looked up."""
    assert refusal(MetaError(code)) == Unknown(f"meta_{code}")


def test_a_code_unknown_here_is_a_refusal_unless_the_server_failed() -> None:
    assert refusal(MetaError(777)) == NotSent("meta_777", "refuse")
    assert refusal(MetaError(777), 500) == Unknown("meta_777")


def test_a_vanished_number_is_no_fault_of_the_message() -> None:
    held = refusal(MetaError(100, 33))
    assert held == NotSent("meta_100", "hold")


@pytest.mark.parametrize("document", [ERROR, {"error": ERROR}, {"errors": [ERROR]}, {**ERROR, "code": "190"}])
def test_the_error_is_found_where_it_is_put(document: object) -> None:
    assert find_error(document) == MetaError(190)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "190",
        {"code": 190},
        {**ERROR, "code": True},
        {**ERROR, "code": -1},
        {**ERROR, "code": MAX_CODE + 1},
        {**ERROR, "code": "9" * 5000},
        {**ERROR, "code": "²"},
        {"status": 400, "error": "Bad Request", "response": {"message": ["x"]}},
    ],
)
def test_anything_else_is_no_error_of_metas(document: object) -> None:
    assert find_error(document) is None


@given(st.integers(0, MAX_CODE), st.none() | st.integers(0, 99), st.integers(100, 599))
def test_no_code_calls_a_message_sent(code: int, subcode: int | None, status: int) -> None:
    """I6, with a reason fit for a label."""
    outcome = refusal(MetaError(code, subcode), status)
    assert isinstance(outcome, NotSent | Unknown)
    assert outcome.reason
    assert len(outcome.reason) <= 40

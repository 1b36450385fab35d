"""What the HTTP library tells of a request, and what that proves: whatever it does not tell proves nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.errors import MajlisError
from daemon.web.progress import NOT_ALLOWED, Progress, Telling

CONNECTED = ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
SECURED = [*CONNECTED, "connection.start_tls.started", "connection.start_tls.complete"]
SENDS = "http11.send_request_headers.started"
UNWRITABLE = ["http11.send_request_headers.failed", "http11.response_closed.started"]


class TooLate(MajlisError):
    """The lease is over."""


async def progress_of(told: Sequence[str], telling: Telling | None = None) -> Progress:
    progress = Progress(telling or Telling())
    for event in told:
        await progress(event, {})
    return progress


async def why(told: Sequence[str], *, timed_out: bool = True, unwritable: bool = False) -> str:
    """The proof that nothing left, after these events on a client that has sent before."""
    telling = Telling()
    await progress_of([*CONNECTED, SENDS], telling)
    return (await progress_of(told, telling)).why_nothing_left(timed_out=timed_out, unwritable=unwritable)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ([], "no_connection_free"),
        (CONNECTED[:1], "connect_timed_out"),
        ([CONNECTED[0], "connection.connect_tcp.failed"], "connect_timed_out"),
        (SECURED[:3], "tls_timed_out"),
    ],
)
async def test_what_is_told_before_the_sending_proves_that_nothing_left(
    told: Sequence[str], reason: str
) -> None:
    """I6."""
    assert await why(told) == reason


@pytest.mark.parametrize(
    "told",
    [
        [*CONNECTED, SENDS],
        [SENDS],
        CONNECTED,
        SECURED,
        [*CONNECTED, "http11.write_head.started"],
        ["http11.write_head.started"],
        ["connection.connect_tcp.started", "connection.connect_tcp.finished"],
        [SENDS, *UNWRITABLE, "http11.send_request_body.started"],
        [SENDS, "http11.send_request_headers.complete", *SECURED[:3]],
    ],
)
async def test_the_sending_a_new_name_and_silence_prove_nothing(told: Sequence[str]) -> None:
    """I6: also when a version of the library calls its steps by other names, leaves some out or begins anew."""
    assert await why(told) == ""


async def test_what_cannot_be_written_has_not_left_but_for_what_was_written_before() -> None:
    """I6."""
    assert await why([*CONNECTED, SENDS, *UNWRITABLE], timed_out=False, unwritable=True) == "bad_request"
    written = [*CONNECTED, SENDS, "http11.send_request_headers.complete", "http11.send_request_body.failed"]
    assert await why(written, timed_out=False, unwritable=True) == ""


async def test_a_library_that_tells_nothing_proves_nothing() -> None:
    """I6: its silence would look like a wait for a connection."""
    telling = Telling()
    assert Progress(telling).why_nothing_left(timed_out=True, unwritable=False) == ""
    answered = await progress_of(CONNECTED, telling)
    assert Progress(telling).why_nothing_left(timed_out=True, unwritable=False) == "no_connection_free"
    answered.answered()  # and of its sending nothing was told
    assert answered.why_nothing_left(timed_out=True, unwritable=False) == ""
    assert Progress(telling).why_nothing_left(timed_out=True, unwritable=False) == ""


@pytest.mark.parametrize(("told", "reason"), [(CONNECTED, NOT_ALLOWED), (["http11.new.started"], "")])
async def test_a_refusal_in_the_last_moment_is_a_proof_unless_something_came_before(
    told: Sequence[str], reason: str
) -> None:
    """I6."""

    def refuse() -> None:
        raise TooLate

    progress = Progress(Telling(), refuse)
    for event in told:
        await progress(event, {})
    with pytest.raises(TooLate):
        await progress(SENDS, {})
    await progress("http11.response_closed.started", {})
    assert progress.why_nothing_left(timed_out=False, unwritable=False) == reason

"""What can go wrong, by what the caller should do about it.

`Unavailable` means *wait*: nothing is known to be wrong with the work, a store or a peer is away.
`StaleEpoch` means *stop*: another daemon owns the conversation now.
`TurnFailed` means *try again, a bounded number of times*.
`TurnRefused` means *never*: trying again cannot help; the turn becomes a dead letter at once.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from actors.messages import Asked, Spent

Holder = Literal["", "pause", "limit", "gateway", "responder", "lease", "mirror", "ledger"]
"""What is waited for while work is held; empty: something else."""


class MajlisError(Exception):
    """Base of all errors that Majlis raises on purpose."""


class Unavailable(MajlisError):
    """A store or peer cannot be used now. Waiting helps and does not count as an attempt. Contrast `TurnFailed`.

    `retry_after_seconds` is the peer's own wish, if it has one. `holder` names what is waited for; the text is for
    people and decides nothing.
    """

    holder: ClassVar[Holder] = ""

    def __init__(self, reason: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class MirrorUnavailable(Unavailable):
    """Redis is away, loading, full, read-only, or weaker than configured: nothing may be acknowledged."""

    holder = "mirror"


class LedgerUnavailable(Unavailable):
    """Postgres is away, read-only, full, or too slow: no effect may be started."""

    holder = "ledger"


class AmendedMessageUnknown(Unavailable):
    """A message was edited or deleted that nobody has seen yet: it may be on its way. The event is to come again."""


class GatewayHeld(Unavailable):
    """The gateway cannot send for now (its socket is down, its licence is missing): hold the reply."""

    holder = "gateway"


class ResponderHeld(Unavailable):
    """No responder can be asked: an operator has to correct a key, or all are left alone for a while.

    Contrast `TurnFailed`: it concerns one turn. `spent` and `asked` as there: of what was asked before.
    """

    holder = "responder"

    def __init__(
        self,
        reason: str = "",
        retry_after_seconds: float | None = None,
        spent: Spent = Spent(),  # noqa: B008 - frozen
        asked: tuple[Asked, ...] = (),
    ) -> None:
        super().__init__(reason, retry_after_seconds)
        self.reason = reason
        self.spent = spent
        self.asked = asked


class LeaseUncertain(Unavailable):
    """The lease is too close to its end, or Postgres cannot renew it: wait. Contrast `StaleEpoch`: it is lost."""

    holder = "lease"


class Overloaded(MajlisError):
    """A named bound is reached: answer 503 with Retry-After. Contrast `MirrorUnavailable`: the store is well."""


class ConversationFull(Overloaded):
    """The conversation already holds as many waiting messages as it may."""


class StaleEpoch(MajlisError):
    """Another daemon owns this partition under a higher epoch: drop the work, it goes on there."""


class EarlierTurnUnfinished(Unavailable):
    """The ledger holds an unfinished turn of the same messages: that one ends first. Contrast `TurnHeld`: a limit."""


class TurnHeld(Unavailable):
    """A limit is reached and its policy is to wait. Contrast `TurnFailed`: nothing failed, no attempt counts."""

    holder = "limit"


class Paused(Unavailable):
    """An operator paused the instance: no turn begins until the pause ends. Contrast `TakenOver`: one conversation."""

    holder = "pause"


class Missing(MajlisError):
    """Something that was named does not exist. The text is a sentence for the operator. Contrast `Conflict`."""


class Conflict(MajlisError):
    """It exists, and this cannot be done to it now. The text is a sentence for the operator. Contrast `Missing`."""


class SwitchedOff(MajlisError):
    """The instance was switched off before the send: nothing more is said."""


class Superseded(MajlisError):
    """The customer said more before the answer was stored: the turn has ended, its batch is to be widened."""


class TakenOver(MajlisError):
    """A person of the business writes in the chat: Majlis is silent there. Contrast `TurnRefused`: nothing is wrong."""


class TurnFailed(MajlisError):
    """This attempt failed; another may succeed. It counts as one of `turn.max_tries`.

    `retry_after_seconds` is the peer's own wish (HTTP Retry-After), honoured when longer than the backoff. `spent` is
    what the failed answer cost all the same, and `asked` who was asked for it, where several were.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        retry_after_seconds: float | None = None,
        spent: Spent = Spent(),  # noqa: B008 - frozen
        asked: tuple[Asked, ...] = (),
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.spent = spent
        self.asked = asked


class TurnRefused(MajlisError):
    """No further attempt can help (unknown number, malformed request): dead-letter at once. Contrast `TurnFailed`.

    `spent` and `asked` as there.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        spent: Spent = Spent(),  # noqa: B008 - frozen
        asked: tuple[Asked, ...] = (),
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.spent = spent
        self.asked = asked

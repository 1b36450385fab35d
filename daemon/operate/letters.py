"""What a dead letter says: what happened, who was asked in vain, and what the customer got. Pure.

Nothing is said that the ledger does not hold: a reason that is not known here gets no sentence, and the same word means
one thing of a provider and another of the gateway. What the customer got is read from the parts as they are now, for
one may be proven sent, or fail, after the turn had ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from actors.lookups import FailedCall
from actors.triage import ESCALATION, FALLBACK
from actors.turn_end import HELD_TOO_LONG, MIRROR_LOST, TOO_OLD
from daemon.operate.call import iso

ANYWHERE = {
    "internal_error": "Majlis itself failed; its log has turn.crashed",
    HELD_TOO_LONG: "it waited longer than turn.max_hold_seconds for what its detail names",
    MIRROR_LOST: "Redis had lost it before it ended",
    TOO_OLD: "it was old when it arrived, so nobody was asked for an answer",
}
OF_PROVIDERS = {
    "unreachable": "the provider could not be reached",
    "timed_out": "the provider did not answer in time",
    "overloaded": "the provider said that it has too much to do",
    "server_error": "the provider failed with an error of its own",
    "rate_limited": "the provider said that it gets too many calls",
    "providers_open": "every provider had failed for so long that none was asked",
    "bad_key": "the provider refused its key",
    "not_found": "the provider knows no such address or model",
    "unexpected_status": "the provider answered with a status that means nothing here",
    "bad_request": "the provider turned the request down as invalid",
    "too_long": "it was too long for the provider, and no more of its history and files could be left out",
    "blocked": "a firewall before the provider blocked the request",
    "refused_by_policy": "the provider refuses to answer this",
    "garbage": "the provider's answer had no usable text",
    "too_large": "the provider's answer was too large to be read",
    "thoughts_only": "the model thought, and said nothing",
    "cut_short": "the provider broke off before a whole sentence",
    "tool_call_only": "the model called a tool and said nothing",
}
OF_THE_GATEWAY = {
    "not_on_whatsapp": "WhatsApp does not know the number",
    "bad_request": "the gateway turned the message down as invalid",
    "too_large": "the gateway found the message too large",
    "claim_conflict": "another attempt had the right to send it",
    "send_unresolved": "it could not be found out whether a message was sent",
    "failed_later": "the gateway took a message and reported later that it was not delivered",
}


class AskedInVain(msgspec.Struct, frozen=True, kw_only=True):
    """One provider whose answers could not be used."""

    provider: str
    calls: int
    reason: str
    """Of the last one."""
    at: str
    """When that was asked."""


def happened(reason: str, had_answer: bool) -> str:
    """The reason as a sentence; empty: it is not known. `had_answer`: it was the reply that could not be sent."""
    if reason in ANYWHERE:
        return ANYWHERE[reason]
    if had_answer:
        return OF_THE_GATEWAY.get(reason, "the gateway did not take a message")
    return OF_PROVIDERS.get(reason, "")


def had_answer(provider: str | None) -> bool:
    """Whether there was a reply to the customer's words, by the turn's provider."""
    return bool(provider) and provider != FALLBACK


def customer_got(states: Sequence[str], provider: str | None) -> str:
    """What of a dead letter's reply reached the customer; `states` of its parts, and who said it."""
    if not states:
        return "the customer got nothing"
    what = {FALLBACK: "the fallback message", ESCALATION: "the escalated message"}.get(
        provider or "", "the answer"
    )
    count, whole = Counter(states), len(states)
    sent, later = count["sent"], count["failed_later"]
    unknown = count["sending"] + count["unknown"]
    if sent == whole:
        return f"the customer got {what}"
    if not (sent or later or unknown):
        return f"{what} did not leave; the customer got nothing"
    of = f"of {what}, {whole} part{'s' if whole > 1 else ''} in all"
    told = [f"{sent} sent"] if sent else []
    told += [f"{unknown} perhaps sent"] if unknown else []
    told += [f"{later} sent and not delivered"] if later else []
    return f"{of}: {', '.join(told)}" + ("" if sent or unknown else "; the customer got nothing")


def asked_in_vain(calls: Sequence[FailedCall]) -> list[AskedInVain]:
    """Each provider once, in the order in which they were asked first."""
    last = {call.provider: call for call in calls}
    number = Counter(call.provider for call in calls)
    return [
        AskedInVain(provider=name, calls=number[name], reason=call.reason, at=moment(call.at_ms))
        for name, call in last.items()
    ]


def moment(at_ms: int) -> str:
    return iso(datetime.fromtimestamp(at_ms / 1000, UTC))

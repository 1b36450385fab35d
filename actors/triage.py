"""What to do with a burst, once the lookups have said what is known: the order of the rules. Pure.

all of it belongs to the history   silence, rule `too_old` or `already_answered`, before anything is looked up
a person writes in the chat        silence, rule `taken_over`
another machine answers there      silence, rule `machine`
the same was just answered         silence, rule `duplicate`
it waits for a person already      the escalated message, at most once in a while; else silence, rule `escalated`
it needs a person                  escalate: notify the staff, say the escalated message
a rate is exceeded                 by policy
the answer is in the cache         give it again
a budget is used up                by policy
else                               ask the responder
"""

from __future__ import annotations

import msgspec

from actors import escalation, limits, response_cache
from actors.instance import InstanceRecord, Terms
from actors.limits import LimitKind, Reached
from actors.lookups import Facts
from actors.messages import Answer, Batch, Prompt
from actors.ports import Question, Turn

ESCALATION = "escalation"
FALLBACK = "fallback"
"""Providers of what Majlis says by itself."""

MACHINE = "machine"
"""The rule by which another machine gets no answer."""


class Silence(msgspec.Struct, frozen=True):
    """The turn ends without an answer."""

    rule: str
    reached: tuple[Reached, ...] = ()


class Say(msgspec.Struct, frozen=True):
    """The answer is known already."""

    answer: Answer
    rule: str = ""
    escalation: str = ""
    """The reason to escalate the conversation for."""
    reached: tuple[Reached, ...] = ()


class AskResponder(msgspec.Struct, frozen=True):
    """The responder is asked."""

    prompt: Prompt
    reached: tuple[Reached, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """A limit is reached; there is room again in `seconds`."""

    reason: LimitKind
    seconds: float
    reached: tuple[Reached, ...] = ()


TriageVerdict = Silence | Say | AskResponder | Wait
"""`reached`: the limits that this turn reached, for the alerts; also those whose policy is to go on."""


def ruled(turn: Turn, batch: Batch) -> Turn:
    """The turn, ended by the rule of the last message where nothing in it is to be answered.

    `batch` is what the turn heard. One that only moves its messages to another conversation keeps them all.
    """
    if turn.state != "started" or turn.rule or turn.moved_to or batch.asked.entries or not batch.entries:
        return turn
    return msgspec.structs.replace(turn, rule=batch.messages[-1].rule)


def decide(question: Question, facts: Facts) -> TriageVerdict:
    flags, takeover = question.flags, facts.takeover
    if flags.takeover and takeover.taken_over:
        return Silence("taken_over")
    if facts.pace.silent:
        return Silence(MACHINE)
    if facts.duplicate:
        return Silence("duplicate")
    if flags.escalation and takeover.escalated and not takeover.escalation_expired:
        # Other software may escalate where Majlis itself is not to: a person has it, and no words of ours are wanted.
        is_said = facts.escalated_reply or not question.record.escalation_enabled
        return Silence("escalated") if is_said else _escalated(question)
    if reason := _reason(question, facts):
        return _escalated(question, reason)
    return _within_limits(question, facts)


def fallback(record: InstanceRecord, terms: Terms) -> Answer | None:
    """What is said when no answer can be had; None: nothing."""
    message = record.fallback_message.strip() or terms.fallback_message.strip()
    return Answer(message, FALLBACK) if message else None


def _reason(question: Question, facts: Facts) -> str:
    """Why the burst needs a person; empty when it does not, or where escalation is off."""
    record = question.record
    if not (question.flags.escalation and record.escalation_enabled):
        return ""
    given = escalation.EscalationInput(
        text=question.batch.text,
        # With an escalation whose time is up, what came before is context, not a reason for another one.
        interactions=() if facts.takeover.escalation_expired else facts.interactions,
        keywords=record.escalation_keywords,
        threshold=record.escalation_threshold,
    )
    return escalation.reason(given)


def _escalated(question: Question, reason: str = "") -> Say:
    text = question.record.escalated_message.strip() or question.terms.escalated_message.strip()
    return Say(Answer(text, ESCALATION), "escalated", reason)


def _within_limits(question: Question, facts: Facts) -> TriageVerdict:
    met: tuple[Reached, ...] = ()
    if reached := limits.rate(facts.usage, question.terms):
        met = (*met, reached)
        if reached.policy != "alert":
            return _stopped(question, reached, met, facts.usage.fallback_said)
    if facts.cached_answer is not None and response_cache.may_give(question, facts):
        return Say(facts.cached_answer, reached=met)
    if reached := limits.budget(facts.usage, question.terms):
        met = (*met, reached)
        if reached.policy != "alert":
            return _stopped(question, reached, met, facts.usage.fallback_said)
    return AskResponder(_prompt(question, facts), met)


def _stopped(
    question: Question, reached: Reached, met: tuple[Reached, ...], fallback_said: bool
) -> TriageVerdict:
    """By the limit's policy. The fallback message is said once in a while, like the escalated one: else silence."""
    if reached.policy == "hold":
        return Wait(reached.kind, max(1.0, reached.wait_seconds), met)
    says = reached.policy == "fallback" and not fallback_said
    answer = fallback(question.record, question.terms) if says else None
    return Say(answer, reached.rule, reached=met) if answer else Silence(reached.rule, met)


def _prompt(question: Question, facts: Facts) -> Prompt:
    return Prompt(
        instance=question.batch.conversation.instance,
        messages=tuple(message.text for message in question.batch.messages),
        history=facts.history,
        knowledge=facts.knowledge if question.flags.knowledge else (),
        system_prompt=question.record.system_prompt,
        handed_back=facts.takeover.handed_back or facts.takeover.escalation_expired,
    )

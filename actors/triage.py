"""What to do with a burst, once the lookups have said what is known: the order of the rules. Pure.

all of it was old when it arrived  a dead letter, before anything is looked up
nothing of it is to be answered    silence, rule of the last one (`already_answered`, `reaction`, …), likewise
the mode is `off`                  silence, rule `off`: before all that
its writer is no customer          silence, rule `ignored_contact`, `not_allowed_contact`, `staff`: before all that
its writer is one of our numbers   silence, rule `own_instance`
a stop word                        confirmed once, rule `opted_out`; also where a person speaks or was asked for
the customer opted out             silence, rule `opted_out`; a start word ends it, confirmed by rule `opted_in`
a person writes in the chat        silence, rule `taken_over`
another machine answers there      silence, rule `machine`
it waits for a person already      the escalated message, at most once in a while; else silence, rule `escalated`
it needs a person                  escalate: notify the staff, say the escalated message
it repeats what waits for a reply  silence, rule `duplicate`
a rate is exceeded                 by policy
the answer is in the cache         give it again
a budget is used up                by policy
else                               ask the responder; it may choose to say nothing, rule `model_silence`

What is said is not sent where it was heard in mode `shadow`: the turn ends by that rule (`actors/turn.py`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors import contacts, escalation, limits, modes, opt_out, response_cache, situation, told
from actors.amendments import DELETION, EDIT
from actors.instance import InstanceRecord, Terms
from actors.limits import LimitKind, Reached
from actors.lookups import Facts
from actors.messages import Answer, Aside, Batch, Prompt
from actors.ports import Question, Turn

ESCALATION = "escalation"
FALLBACK = "fallback"
OPT_OUT = "opt_out"
"""Providers of what Majlis says by itself."""

MODEL_SILENCE = "model_silence"
"""The rule of a turn in which the model chose to say nothing."""

SAID_TO_ANYBODY = (opt_out.OPTED_OUT, opt_out.OPTED_IN)
"""Rules of replies that leave also where a person has taken the conversation over."""

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
    opt_out: Literal["", "out", "in"] = ""
    """What is recorded with it: the customer wants no more messages, or wants them again."""


class AskResponder(msgspec.Struct, frozen=True):
    """The responder is asked."""

    prompt: Prompt
    reached: tuple[Reached, ...] = ()
    opt_out: Literal["", "in"] = ""
    """As in `Say`."""


class Wait(msgspec.Struct, frozen=True):
    """A limit is reached; there is room again in `seconds`."""

    reason: LimitKind
    seconds: float
    reached: tuple[Reached, ...] = ()


TriageVerdict = Silence | Say | AskResponder | Wait
"""`reached`: the limits that this turn reached, for the alerts; also those whose policy is to go on."""


BACKLOG: Aside = "backlog"
"""The rule of what was old when it arrived, and is a dead letter by itself."""


def is_silent(batch: Batch) -> bool:
    """Whether nothing of the batch is to be answered."""
    return bool(batch.entries) and not batch.asked.entries


def has_backlog(turn: Turn, batch: Batch) -> bool:
    """Whether what the turn heard was partly old when it arrived."""
    is_heard = not turn.moved_to and turn.rule in ("", BACKLOG)
    return is_heard and any(message.aside == BACKLOG for message in batch.without(turn.repeated).messages)


def ruled(turn: Turn, batch: Batch, terms: Terms) -> Turn:
    """The turn, ended by a rule that is known before anything is looked up: the instance is off, its writer is no
    customer, or nothing in it is to be answered, which the rule of its last message says.

    What was old when it arrived comes before other asides: somebody should see it. What a deletion did tells more than
    that there was one. `batch` is what the turn heard. One that only moves its messages to another conversation keeps
    them all.
    """
    if turn.state != "started" or turn.rule or turn.moved_to or not batch.entries:
        return turn
    contact = batch.conversation.contact
    rule = modes.OFF if modes.is_off(contact, terms) else contacts.rule(contact, terms)
    return msgspec.structs.replace(turn, rule=rule or _silent_rule(batch))


def _silent_rule(batch: Batch) -> str:
    if not is_silent(batch):
        return ""
    rules = [message.rule for message in batch.messages]
    telling = [rule for rule in rules if rule not in (EDIT, DELETION)] or rules
    return BACKLOG if BACKLOG in rules else telling[-1]


def decide(question: Question, facts: Facts) -> TriageVerdict:
    takeover, terms = facts.takeover, question.terms
    if takeover.own_instance and not terms.contacts.answer_instances:
        return Silence(contacts.OWN_INSTANCE)
    if takeover.opted_out and not terms.opt_out.enabled:
        takeover = msgspec.structs.replace(takeover, opted_out=False)
    wish = opt_out.wish(question.batch.messages, terms.opt_out)
    if wish is not None and wish.wants_out != takeover.opted_out:
        return _wished(question, facts, wish)
    if takeover.opted_out:
        return Silence(opt_out.OPTED_OUT)
    return _for_a_customer(question, facts)


def _for_a_customer(question: Question, facts: Facts) -> TriageVerdict:
    """For somebody who wants to be answered."""
    flags, takeover = question.flags, facts.takeover
    if flags.takeover and takeover.taken_over:
        return Silence("taken_over")
    if facts.pace.silent:
        return Silence(MACHINE)
    if flags.escalation and takeover.escalated and not takeover.escalation_expired:
        # Other software may escalate where Majlis itself is not to: a person has it, and no words of ours are wanted.
        is_said = facts.escalated_reply or not question.record.escalation_enabled
        return Silence("escalated") if is_said else _escalated(question)
    if why := reason(question, facts):
        return _escalated(question, why)
    if facts.duplicate:
        return Silence("duplicate")
    return _within_limits(question, facts)


def _wished(question: Question, facts: Facts, wish: opt_out.Wish) -> TriageVerdict:
    """Confirm a stop or start word. Beside a start word, the rest of the burst is answered if that can be done now; the
    answer confirms it then.
    """
    terms, contact = question.terms.opt_out, question.batch.conversation.contact
    confirmed = Answer(opt_out.confirmation(wish, contact, terms), OPT_OUT)
    if wish.wants_out:
        return Say(confirmed, opt_out.OPTED_OUT, opt_out="out")
    words = {message.id for message in question.batch.messages if opt_out.said_in(message, terms)}
    rest = question.batch.without(words)
    if rest.entries:
        # What the cache has was looked up for the whole burst: the rest is another question.
        others = msgspec.structs.replace(facts, cached_answer=None)
        verdict = _for_a_customer(msgspec.structs.replace(question, batch=rest), others)
        if isinstance(verdict, Say | AskResponder):
            return msgspec.structs.replace(verdict, opt_out="in")
    return Say(confirmed, opt_out.OPTED_IN, opt_out="in")


def fallback(record: InstanceRecord, terms: Terms) -> Answer | None:
    """What is said when no answer can be had; None: nothing."""
    message = record.fallback_message.strip() or terms.fallback_message.strip()
    return Answer(message, FALLBACK) if message else None


def reason(question: Question, facts: Facts) -> str:
    """Why the burst needs a person; empty when it does not, or where escalation is off."""
    record = question.record
    if not (question.flags.escalation and record.escalation_enabled):
        return ""
    given = escalation.EscalationInput(
        text=question.batch.text,
        is_typed=all(message.kind == "text" for message in question.batch.messages),
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
    if (kept := response_cache.to_give(question, facts)) is not None:
        return Say(kept, reached=met)
    if reached := limits.budget(facts.usage, question.terms):
        met = (*met, reached)
        if reached.policy != "alert":
            return _stopped(question, reached, met, facts.usage.fallback_said)
    return AskResponder(prompt(question, facts), met)


def _stopped(
    question: Question, reached: Reached, met: tuple[Reached, ...], fallback_said: bool
) -> TriageVerdict:
    """By the limit's policy. The fallback message is said once in a while, like the escalated one: else silence."""
    if reached.policy == "hold":
        return Wait(reached.kind, max(1.0, reached.wait_seconds), met)
    says = reached.policy == "fallback" and not fallback_said
    answer = fallback(question.record, question.terms) if says else None
    return Say(answer, reached.rule, reached=met) if answer else Silence(reached.rule, met)


def prompt(question: Question, facts: Facts) -> Prompt:
    """What the responder is given."""
    return Prompt(
        instance=question.batch.conversation.instance,
        messages=told.told_batch(question.batch.messages, question.terms.context, facts.quoted),
        history=response_cache.told_history(question, facts),
        knowledge=facts.knowledge if question.flags.knowledge else (),
        system_prompt=question.record.system_prompt,
        handed_back=facts.takeover.handed_back or facts.takeover.escalation_expired,
        may_be_silent=question.terms.reply.model_silence,
        formatting=question.terms.reply.formatting,
        retry_cut=question.terms.reply.retry_cut,
        answered_by=question.terms.answered_by,
        situation=situation.situation(question),
        customer_name=situation.told_name(question),
    )

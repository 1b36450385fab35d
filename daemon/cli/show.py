"""`majlis show`: one conversation, or one turn with the trace of its lookups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from actors.lookups import Span
from daemon.cli.client import (
    AdminClient,
    ConfigOption,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    conversation_path,
    view,
)
from daemon.cli.conversations import opted_out
from daemon.cli.render import (
    attempt,
    cell,
    conversation_of,
    count,
    display,
    duration,
    facts,
    is_narrow,
    moment,
    money,
    print_json,
    style_of,
    table,
    without_effect,
)
from daemon.operate.conversations import ConversationView
from daemon.operate.message_life import CUT, FOUND, NOT_ANSWERED, SAID, SILENCED
from daemon.operate.own_messages import OwnMessageView
from daemon.operate.turns import MessageView, TurnDetail, TurnView

CACHE = "cache"
"""The provider of an answer from the response cache."""
_MAX_TURN_DIGITS = 9
"""A longer number is a label without letters, or a phone number."""
_TRACE_COLUMNS = ("lookup", "stage", "outcome", "start ms", "took ms", "")
_BAR_WIDTH = 40
_NARROW_BAR_WIDTH = 16
_BAR = "█"

SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONVERSATION|TURN",
        help="A conversation, by its label (as in the logs and `majlis actors`) or as INSTANCE/PHONE, e.g. "
        "acme/551199990000; or a turn, by its number.",
    ),
]


def show(
    subject: SubjectArgument,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show one conversation, or one turn with the trace of where its time went.

    For a conversation: its state, the waiting messages, whether a person has taken it over, and its latest turns with
    their numbers. For a turn: the messages, the reply, provider, tokens and cost, and how long each lookup took.

    Example: majlis show acme/551199990000 --reveal

    Example: majlis show 17
    """
    client = client_of(config, set_)
    if subject.isascii() and subject.isdigit() and len(subject) <= _MAX_TURN_DIGITS:
        _show_turn(client, int(subject), reveal, json)
        return
    document = client.get(conversation_path(subject), {"reveal": reveal})
    if json:
        print_json(document)
        return
    found = view(document, ConversationView)
    display(facts(_conversation_rows(found)))
    if found.waiting:
        display("", messages_table(found.waiting))
    if found.turns:
        display("", _turns_table(found.turns))
    if found.of_business:
        display("", _own_table(found.of_business))


def _conversation_rows(found: ConversationView) -> list[tuple[str, object]]:
    owner = f"epoch {found.epoch}" if found.epoch is not None else "owned by another daemon"
    state = "not in memory" if found.state == "absent" else found.state
    left = duration(found.closes_in_seconds)
    rows: list[tuple[str, object]] = [
        ("conversation", conversation_of(found.conversation, found.instance, found.contact)),
        ("partition", f"{found.partition}, {owner}"),
        ("state", state + (f", {left} left" if left else "")),
        ("waiting", count(len(found.waiting), "message") if found.waiting else "nothing"),
    ]
    if found.taken_over:
        silent = without_effect("takeover", found.taken_over.heeded) or ", Majlis is silent"
        rows.append(("taken over", f"until {moment(found.taken_over.until)} UTC{silent}"))
    if found.escalated:
        why = f": {found.escalated.why}" if found.escalated.why else ""
        ignored = without_effect("escalation", found.escalated.heeded)
        rows.append(("escalated", f"since {moment(found.escalated.since)} UTC{why}{ignored}"))
    if found.opted_out:
        rows.append(("opted out", opted_out(found.opted_out).removeprefix("opted out ")))
        rows.append(
            ("to end that", f"a start word of the customer; majlis resume {found.conversation} --opt-out")
        )
    if found.machine:
        silent = ", Majlis is silent" if found.machine.heeded else ", without effect: machines.enabled is off"
        signs = f"; signs: {', '.join(found.machine.signs)}" if found.machine.signs else ""
        rows.append(("a machine", f"until {moment(found.machine.until)} UTC{silent}{signs}"))
    if found.taken_over or found.escalated or found.machine:
        rows.append(("to hand back", f"majlis resume {found.conversation}"))
    if found.why:
        rows.append(("reason", found.why))
    if found.batch is not None:
        rows.append(("batch", f"{found.batch}, {attempt(found.tries) or 'attempt 1'}"))
    return rows


def messages_table(messages: list[MessageView]) -> Group:
    """Messages of a customer, one per line; below them, what it means that some were found later or set aside."""
    shown = table("message", "kind", "time (UTC)", "text", folding=("text",))
    for message in messages:
        found = "".join(
            f", {word}" for word in (message.swept, message.aside) if word and word != message.kind
        )
        shown.add_row(
            cell(message.id),
            cell(message.kind + found + _about(message)),
            cell(moment(message.arrived_at or message.sent_at)),
            cell(message.text),
        )
    swept = sorted({str(message.swept) for message in messages if message.swept})
    aside = sorted({str(message.aside) for message in messages if message.aside})
    notes = [f"{word}: {FOUND}{_why_silent(word)}" for word in swept]
    notes += [f"{word}: not answered, {NOT_ANSWERED[word]}" for word in aside]
    return Group(shown, *(cell(note, "dim") for note in notes))


def _about(message: MessageView) -> str:
    if message.amends:
        return f" of {message.amends}"
    return f" of {message.album_size}" if message.album_size else ""


def _why_silent(rule: str) -> str:
    return f". Not answered: {NOT_ANSWERED[rule]}" if rule in NOT_ANSWERED else ""


def _own_table(messages: list[OwnMessageView]) -> Table:
    """What the business wrote, and what it was taken for."""
    shown = table("of the business", "time (UTC)", "", folding=("",))
    for message in messages:
        shown.add_row(cell(message.id), cell(moment(message.sent_at)), cell(message.why))
    return shown


def _turns_table(turns: list[TurnView]) -> Table:
    shown = table(
        "turn",
        "state",
        "msgs",
        "started (UTC)",
        "cost",
        "reply",
        right=("turn", "msgs", "cost"),
        folding=("reply",),
    )
    for turn in turns:
        why = turn.rule or (CACHE if turn.provider == CACHE else "")
        reply = [*([f"({why})"] if why else []), *_parts(turn)]
        started, cost = moment(turn.started_at), money(turn.cost)
        cells = (turn.id, _state(turn), turn.messages, started, cost, "\n".join(reply))
        shown.add_row(*(cell(item) for item in cells))
    return shown


def _state(turn: TurnView) -> str:
    """Its state; `escalated` or another rule where Majlis itself said something in place of a responder's answer."""
    return turn.rule if turn.state == "done" and turn.rule else turn.state


def _parts(turn: TurnView) -> list[str]:
    return [f"{place}. {part.state}: {part.text}" for place, part in enumerate(turn.parts, 1)]


def _show_turn(client: AdminClient, number: int, reveal: bool, json: bool) -> None:
    document = client.get(f"/v1/turns/{number}", {"reveal": reveal})
    if json:
        print_json(document)
        return
    found = view(document, TurnDetail)
    display(facts(_turn_rows(found)))
    if found.messages:
        display("", messages_table(found.messages))
    if found.turn.parts:
        display("", _parts_table(found.turn))
    if found.waterfall:
        display("", _trace(found.waterfall))
    if skipped := [span.name for span in found.waterfall if span.outcome == "skipped"]:
        display("", cell(f"skipped: {', '.join(skipped)}", "dim"))


def _turn_rows(found: TurnDetail) -> list[tuple[str, object]]:
    turn = found.turn
    again = f", after {count(turn.tries, 'failed attempt')}" if turn.tries else ""
    rows: list[tuple[str, object]] = [
        ("turn", turn.id),
        ("conversation", conversation_of(found.conversation, found.instance, found.contact)),
        ("state", cell(_state(turn))),
        ("batch", f"{turn.batch}, {count(turn.messages, 'message')}, closed by {turn.closed_by}{again}"),
        ("started", f"{moment(turn.started_at)} UTC"),
    ]
    if turn.ended_at:
        rows.append(("ended", f"{moment(turn.ended_at)} UTC"))
    if turn.rule:
        words = (SAID if turn.state == "done" else {**NOT_ANSWERED, **SILENCED}).get(turn.rule, "")
        rows.append(("rule", f"{turn.rule}: {words}" if words else turn.rule))
    if turn.provider:
        rows += [
            ("answered by", turn.provider + (f", model {turn.model}" if turn.model else "")),
            ("tokens", f"{turn.input_tokens:,} in, {turn.output_tokens:,} out"),
            ("cost", money(turn.cost)),
        ]
    elif turn.cost:
        rows.append(("cost", f"{'about ' if turn.estimated else ''}{money(turn.cost)}, for nothing"))
    if turn.cut:
        rows.append(("cut", f"the answer ends before its end: {CUT.get(turn.cut, turn.cut)}"))
    for call in turn.failures:
        failed = f"{call.provider}: {call.reason}, {call.took_ms:,.0f} ms, attempt {call.attempt}"
        rows.append(("asked in vain", failed))
    if turn.confidence is not None:
        rows.append(("confidence", f"{turn.confidence:.2f}"))
    if turn.needs_data_collection or turn.requested_fields:
        rows.append(("asks for", ", ".join(turn.requested_fields) or "data (no fields named)"))
    return rows


def _parts_table(turn: TurnView) -> Table:
    shown = table("part", "state", "gateway id", "text", right=("part",), folding=("gateway id", "text"))
    for place, part in enumerate(turn.parts, 1):
        state = part.state + (", resent" if part.resends else "")
        cells = (place, state, part.gateway_id, part.text)
        shown.add_row(*(cell(item) for item in cells))
    return shown


def _trace(spans: Sequence[Span]) -> Table:
    """One line for each lookup that ran and for the responder, as they started, with bars to one scale."""
    width = _NARROW_BAR_WIDTH if is_narrow() else _BAR_WIDTH
    end_ms = max(span.started_ms + span.took_ms for span in spans)
    drawn = table(*_TRACE_COLUMNS, right=("start ms", "took ms"), folding=("outcome",))
    for span in sorted(spans, key=lambda span: span.started_ms):
        if span.outcome == "skipped":
            continue
        outcome = cell(span.outcome)
        if span.error:
            outcome.append(f" {cell(span.error)}")
        drawn.add_row(
            cell(span.name),
            cell(span.stage),
            outcome,
            cell(f"{span.started_ms:,.1f}"),
            cell(f"{span.took_ms:,.1f}"),
            _bar(span, end_ms, width),
        )
    return drawn


def _bar(span: Span, end_ms: float, width: int) -> Text:
    """At least one block."""
    if end_ms <= 0:
        return Text("")
    before = min(round(span.started_ms / end_ms * width), width - 1)
    length = min(max(round(span.took_ms / end_ms * width), 1), width - before)
    return Text(" " * before + _BAR * length, style=style_of(span.outcome))

"""`majlis show`: one conversation, or one turn with the waterfall of its lookups."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from daemon.cli.client import AdminClient, conversation_path, view
from daemon.cli.options import ConfigOption, JsonOption, RevealOption, SetOption, client_of
from daemon.cli.render import cell, count, display, duration, facts, moment, money, print_json, table
from daemon.cli.waterfall import waterfall
from daemon.operate.conversations import ConversationView
from daemon.operate.turns import MessageView, TurnDetail, TurnView

CACHE = "cache"
"""The provider of an answer that was kept and given again."""
_MAX_TURN_DIGITS = 9
"""Longer numbers are labels that happen to have no letter, or phone numbers."""

SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONVERSATION|TURN",
        help="A conversation: its label from the logs or `majlis actors`, or INSTANCE/PHONE, e.g. "
        "acme/551199990000. Or the number of a turn.",
    ),
]


def show(
    subject: SubjectArgument,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """One conversation: what waits, what was answered, who speaks. Or one turn: where its time and money went.

    The turns of a conversation stand below it, each with its number.

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


def _conversation_rows(found: ConversationView) -> list[tuple[str, object]]:
    owner = f"epoch {found.epoch}" if found.epoch is not None else "owned by another daemon"
    state = "no actor in memory" if found.state == "absent" else found.state
    left = duration(found.closes_in_seconds)
    rows: list[tuple[str, object]] = [
        ("conversation", found.conversation),
        ("of", f"{found.instance} with {found.contact}"),
        ("partition", f"{found.partition}, {owner}"),
        ("state", state + (f", {left} left" if left else "")),
        ("waiting", count(len(found.waiting), "message") if found.waiting else "nothing"),
    ]
    if found.taken_over:
        silent = "Majlis is silent" if found.taken_over.heeded else "not heeded, takeover is off"
        rows.append(("taken over", f"until {moment(found.taken_over.until)} UTC: {silent}"))
    if found.escalated:
        why = f": {found.escalated.why}" if found.escalated.why else ""
        heeded = "" if found.escalated.heeded else " (not heeded: escalation is off)"
        rows.append(("escalated", f"since {moment(found.escalated.since)} UTC{why}{heeded}"))
    if found.taken_over or found.escalated:
        rows.append(("to end that", f"majlis resume {found.conversation}"))
    if found.why:
        rows.append(("why", found.why))
    if found.batch is not None:
        rows.append(("batch", f"{found.batch}, try {found.tries}"))
    return rows


def messages_table(messages: list[MessageView]) -> Table:
    shown = table("message", "kind", "time (UTC)", "text", folding=("text",))
    for message in messages:
        shown.add_row(
            cell(message.id),
            cell(message.kind),
            cell(moment(message.arrived_at or message.sent_at)),
            cell(message.text),
        )
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
        cells = (turn.id, turn.state, turn.messages, started, cost, "\n".join(reply))
        shown.add_row(*(cell(item) for item in cells))
    return shown


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
        display("", waterfall(found.waterfall))


def _turn_rows(found: TurnDetail) -> list[tuple[str, object]]:
    turn = found.turn
    again = f", after {count(turn.tries, 'failed try', 'failed tries')}" if turn.tries else ""
    rows: list[tuple[str, object]] = [
        ("turn", turn.id),
        ("conversation", f"{found.conversation}, {found.instance} with {found.contact}"),
        ("state", cell(turn.state)),
        ("batch", f"{turn.batch}, {count(turn.messages, 'message')}, closed by {turn.closed_by}{again}"),
        ("started", f"{moment(turn.started_at)} UTC"),
    ]
    if turn.ended_at:
        rows.append(("ended", f"{moment(turn.ended_at)} UTC"))
    if turn.rule:
        rows.append(("rule", turn.rule))
    if turn.provider:
        rows += [
            ("answered by", turn.provider + (f", model {turn.model}" if turn.model else "")),
            ("tokens", f"{turn.input_tokens:,} in, {turn.output_tokens:,} out"),
            ("cost", money(turn.cost)),
        ]
    if turn.confidence is not None:
        rows.append(("confidence", f"{turn.confidence:.2f}"))
    if turn.needs_data_collection or turn.requested_fields:
        rows.append(("asks for", ", ".join(turn.requested_fields) or "data, without saying which"))
    return rows


def _parts_table(turn: TurnView) -> Table:
    shown = table("part", "state", "gateway id", "text", right=("part",), folding=("gateway id", "text"))
    for place, part in enumerate(turn.parts, 1):
        state = part.state + (", resent" if part.resends else "")
        cells = (place, state, part.gateway_id, part.text)
        shown.add_row(*(cell(item) for item in cells))
    return shown

"""Commands that only look: status, actors, show."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from daemon.admin import ActorPage, ActorView, ConversationView, IngressCounts, MessageView, Status, TurnView
from daemon.cli.client import conversation_path, view
from daemon.cli.options import (
    ConfigOption,
    ConversationArgument,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
)
from daemon.cli.render import cell, count, display, duration, facts, moment, print_json, table, tally


def status(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Is it ready, what is it doing, what has it done.

    Example: majlis status --json | jq .oldest_waiting_seconds
    """
    document = client_of(config, set_).get("/v1/status")
    if json:
        print_json(document)
        return
    display(facts(_status_rows(view(document, Status))))


def _status_rows(now: Status) -> list[tuple[str, object]]:
    ingress = now.ingress
    rows: list[tuple[str, object]] = [("majlis", _headline(now))]
    rows += [("because", reason) for reason in now.reasons]
    rows += [
        (
            "listening",
            f"{now.listen}, up {duration(now.uptime_seconds)}, pid {now.pid}, node {now.node_id or '-'}",
        ),
        *((name, cell(state, "" if state == "ok" else "bold red")) for name, state in now.stores.items()),
        ("partitions", f"{now.partitions_owned} of {now.partitions_total} owned"),
        ("now", f"{count(now.active, 'active conversation')}, {count(now.open_windows, 'open window')}"),
        ("turns", _turns(now)),
        ("waiting", _waiting(now)),
        ("acknowledged", f"{now.acknowledged:,} in all"),
        ("ended", f"{now.answered:,} answered, {now.suppressed:,} suppressed, {now.dead:,} dead in all"),
        ("webhooks", _webhooks(ingress)),
        ("ignored", tally(ingress.ignored)),
        ("refused", tally(ingress.refused)),
        (
            "dead letters",
            f"{now.dead_letters_open:,} open" + (": majlis dead list" if now.dead_letters_open else ""),
        ),
    ]
    return rows


def _webhooks(ingress: IngressCounts) -> str:
    words = (
        f"{ingress.accepted:,} accepted, {ingress.duplicate:,} duplicate, {ingress.unreadable:,} unreadable"
    )
    # Named only when there are any: their messages are lost, for the gateway does not repeat a 401.
    return words + (f", {ingress.unauthorized:,} with a wrong token" if ingress.unauthorized else "")


def _headline(now: Status) -> Text:
    if now.draining:
        return cell(f"{now.version} is draining: no new work is taken", "yellow")
    return (
        cell(f"{now.version} is ready", "green")
        if now.ready
        else cell(f"{now.version} is NOT READY", "bold red")
    )


def _turns(now: Status) -> str:
    later = f"{now.held_turns} held, {now.deferred_turns} to be tried again"
    parked = f", {now.parked} parked" if now.parked else ""
    return f"{now.running_turns} running, {now.queued_turns} queued, {later}{parked}"


def _waiting(now: Status) -> str:
    if not now.waiting_messages:
        return "nothing"
    age = duration(now.oldest_waiting_seconds)
    return count(now.waiting_messages, "message") + (f", the oldest for {age}" if age else "")


def actors(
    state: Annotated[str | None, typer.Option(help="Only this state, e.g. holding or parked.")] = None,
    instance: Annotated[str | None, typer.Option(help="Only this instance.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines to show.")] = 50,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Active conversations, and what each waits for.

    The most urgent first: parked, held, to be tried again, answering, queued, waiting, idle.

    Example: majlis actors --state holding --instance acme
    """
    query = {"state": state, "instance": instance, "limit": limit, "reveal": reveal}
    document = client_of(config, set_).get("/v1/actors", query)
    if json:
        print_json(document)
        return
    page = view(document, ActorPage)
    if page.actors:
        shown = table(
            "label",
            "instance",
            "contact",
            "state",
            "msgs",
            "left",
            "why",
            right=("msgs", "left"),
            folding=("instance", "why"),
        )
        for actor in page.actors:
            shown.add_row(*_actor_cells(actor))
        display(shown)
    display(cell(_page_summary(page), "dim"))


def _actor_cells(actor: ActorView) -> list[Text]:
    tries = [f"try {actor.tries}"] if actor.tries > 1 else []
    why = ", ".join([*([actor.why] if actor.why else []), *tries])
    waiting, left = str(actor.waiting_messages), duration(actor.closes_in_seconds)
    return [
        cell(item)
        for item in (actor.conversation, actor.instance, actor.contact, actor.state, waiting, left, why)
    ]


def _page_summary(page: ActorPage) -> str:
    more = page.matching - len(page.actors)
    hidden = f"; {more:,} more, see --limit" if more else ""
    some = f"{page.matching:,} of " if page.matching != page.total else ""
    return f"{some}{count(page.total, 'active conversation')}{hidden}"


def show(
    conversation: ConversationArgument,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """One conversation: what waits, what was answered.

    Example: majlis show acme/551199990000 --reveal
    """
    document = client_of(config, set_).get(conversation_path(conversation), {"reveal": reveal})
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
    if found.why:
        rows.append(("why", found.why))
    if found.batch is not None:
        rows.append(("batch", f"{found.batch}, try {found.tries}"))
    return rows


def messages_table(messages: list[MessageView]) -> Table:
    shown = table("message", "kind", "arrived (UTC)", "text", folding=("text",))
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
        "batch",
        "state",
        "closed by",
        "msgs",
        "started (UTC)",
        "reply",
        right=("batch", "msgs"),
        folding=("reply",),
    )
    for turn in turns:
        parts = [f"{place}. {part.state}: {part.text}" for place, part in enumerate(turn.parts, 1)] or [
            turn.rule
        ]
        cells = (
            turn.batch,
            turn.state,
            turn.closed_by or "",
            turn.messages,
            moment(turn.started_at),
            "\n".join(parts),
        )
        shown.add_row(*(cell(item) for item in cells))
    return shown

"""`majlis dead`: the turns that ran out of attempts or were refused."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import (
    LISTED,
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    LimitOption,
    RevealOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import cell, conversation_of, count, display, facts, moment, money, print_json, table
from daemon.cli.show import messages_table
from daemon.operate.dead_letters import DeadLetterPage, DeadLettersQuery, DeadLetterView, Dropped, Retried
from daemon.operate.letters import AskedInVain
from daemon.operate.parameters import MAX_ID

DeadLetterArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis dead list`.")
]


def list_dead_letters(
    all_: Annotated[bool, option(DeadLettersQuery, "all", "--all")] = False,
    limit: LimitOption = LISTED,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List dead letters, the newest first.

    Example: majlis dead list --limit 10
    """
    document = client_of(config, set_).get("/v1/dead", {"all": all_, "limit": limit, "reveal": reveal})
    if json:
        print_json(document)
        return
    page = view(document, DeadLetterPage)
    if page.letters:
        shown = table(
            "number", "failed (UTC)", "label", "instance", "reason", right=("number",), folding=("reason",)
        )
        for letter in page.letters:
            settled = " (retried)" if letter.retried_at else " (dropped)" if letter.dropped_at else ""
            cells = (letter.id, moment(letter.buried_at), letter.conversation, letter.instance)
            shown.add_row(*(cell(item) for item in (*cells, _reason(letter) + settled)))
        display(shown)
    advice = ": majlis dead show NUMBER, majlis dead retry NUMBER" if page.open else ""
    display(cell(f"{count(page.open, 'open dead letter')}{advice}", "dim"))


def show_dead_letter(
    number: DeadLetterArgument,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show one dead letter: why it failed, and what the customer wrote.

    Example: majlis dead show 17 --reveal
    """
    document = client_of(config, set_).get(f"/v1/dead/{number}", {"reveal": reveal})
    if json:
        print_json(document)
        return
    letter = view(document, DeadLetterView)
    again = f"majlis dead retry {letter.id}"
    rows: list[tuple[str, object]] = [
        ("dead letter", letter.id),
        ("conversation", conversation_of(letter.conversation, letter.instance, letter.contact)),
        ("batch", f"{letter.batch}, after {count(letter.tries, 'attempt')}"),
        ("reason", _reason(letter)),
        *([("what happened", letter.what)] if letter.what else []),
        *([("asked in vain", "\n".join(map(_asked, letter.asked)))] if letter.asked else []),
        *([("customer", letter.got)] if letter.got else []),
        *([("cost", money(letter.cost))] if letter.cost else []),
        ("failed", f"{moment(letter.buried_at)} UTC"),
        ("retried", f"{moment(letter.retried_at)} UTC" if letter.retried_at else f"not yet: {again}"),
        *([("dropped", f"{moment(letter.dropped_at)} UTC")] if letter.dropped_at else []),
    ]
    display(facts(rows))
    if letter.messages:
        display("", messages_table(letter.messages))


def _asked(asked: AskedInVain) -> str:
    return f"{asked.provider}, {count(asked.calls, 'call')}: {asked.reason}, last at {moment(asked.at)} UTC"


def _reason(letter: DeadLetterView) -> str:
    return letter.reason + (f": {letter.detail}" if letter.detail else "")


def retry(
    number: Annotated[
        int | None,
        typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis dead list`."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Retry every open dead letter.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Retry a dead letter: its messages are queued again in their conversation.

    Example: majlis dead retry 17
    """
    if (number is None) != all_:
        raise Failure(
            "give a number or --all: majlis dead retry NUMBER, or majlis dead retry --all", USAGE_ERROR
        )
    path = "/v1/dead/retry-all" if all_ else f"/v1/dead/{number}/retry"
    document = client_of(config, set_).post(path)
    if json:
        print_json(document)
        return
    display(cell(f"{count(view(document, Retried).retried, 'dead letter')} queued to be answered"))


def drop(
    number: DeadLetterArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Close a dead letter without answering it. It is kept, and no longer counts as open.

    `majlis dead list --all` still lists it, and `majlis dead retry` can still retry it.

    Example: majlis dead drop 17
    """
    document = client_of(config, set_).post(f"/v1/dead/{number}/drop")
    if json:
        print_json(document)
        return
    display(cell(f"dead letter {view(document, Dropped).dropped} dropped; it is kept in the list"))

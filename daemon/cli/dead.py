"""Dead letters: the turns that ran out of tries or were refused."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import view
from daemon.cli.failure import Failure
from daemon.cli.options import ConfigOption, JsonOption, RevealOption, SetOption, client_of
from daemon.cli.render import cell, count, display, facts, moment, print_json, table
from daemon.cli.show import messages_table
from daemon.operate.dead_letters import DeadLetterPage, DeadLetterView, Dropped, Retried

DeadLetterArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, help="Its number in `majlis dead list`.")
]


def list_dead_letters(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were retried or dropped.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines to show.")] = 50,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Dead letters, the latest first.

    Example: majlis dead list --limit 10
    """
    document = client_of(config, set_).get("/v1/dead", {"all": all_, "limit": limit, "reveal": reveal})
    if json:
        print_json(document)
        return
    page = view(document, DeadLetterPage)
    if page.letters:
        shown = table(
            "number", "buried (UTC)", "label", "instance", "reason", right=("number",), folding=("reason",)
        )
        for letter in page.letters:
            retried = " (retried)" if letter.retried_at else " (dropped)" if letter.dropped_at else ""
            why = letter.reason + (f": {letter.detail}" if letter.detail else "") + retried
            cells = (letter.id, moment(letter.buried_at), letter.conversation, letter.instance, why)
            shown.add_row(*(cell(item) for item in cells))
        display(shown)
    advice = ": majlis dead show NUMBER, majlis dead retry NUMBER" if page.open else ""
    display(cell(f"{count(page.open, 'dead letter')} open{advice}", "dim"))


def show_dead_letter(
    number: DeadLetterArgument,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """One dead letter: why it died, and what the customer wrote.

    Example: majlis dead show 17 --reveal
    """
    document = client_of(config, set_).get(f"/v1/dead/{number}", {"reveal": reveal})
    if json:
        print_json(document)
        return
    letter = view(document, DeadLetterView)
    rows: list[tuple[str, object]] = [
        ("dead letter", letter.id),
        ("conversation", f"{letter.conversation}, {letter.instance} with {letter.contact}"),
        ("batch", f"{letter.batch}, after {count(letter.tries, 'try', 'tries')}"),
        ("reason", letter.reason + (f": {letter.detail}" if letter.detail else "")),
        ("buried", f"{moment(letter.buried_at)} UTC"),
        (
            "retried",
            f"{moment(letter.retried_at)} UTC"
            if letter.retried_at
            else f"not yet: majlis dead retry {letter.id}",
        ),
        *([("dropped", f"{moment(letter.dropped_at)} UTC")] if letter.dropped_at else []),
    ]
    display(facts(rows))
    if letter.messages:
        display("", messages_table(letter.messages))


def retry(
    number: Annotated[
        int | None, typer.Argument(metavar="NUMBER", min=1, help="Its number in `majlis dead list`.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every open one.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Put a dead letter back to be answered, in its conversation's order.

    Example: majlis dead retry 17
    """
    if (number is None) != all_:
        raise Failure("say which: majlis dead retry NUMBER, or majlis dead retry --all", exit_status=2)
    path = "/v1/dead/retry-all" if all_ else f"/v1/dead/{number}/retry"
    document = client_of(config, set_).post(path)
    if json:
        print_json(document)
        return
    display(cell(f"{count(view(document, Retried).retried, 'dead letter')} put back to be answered"))


def drop(
    number: DeadLetterArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Nobody shall answer a dead letter any more. It is kept, and no longer counted as open.

    `majlis dead list --all` still shows it, and `majlis dead retry` still puts it back.

    Example: majlis dead drop 17
    """
    document = client_of(config, set_).post(f"/v1/dead/{number}/drop")
    if json:
        print_json(document)
        return
    display(cell(f"dead letter {view(document, Dropped).dropped} is dropped; it is kept"))

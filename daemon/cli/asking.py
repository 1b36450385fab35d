"""Questions before something is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from daemon.cli.client import USAGE_ERROR, AdminClient, AskedFirst, Failure

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def ask(question: str) -> None:
    """Go on only if somebody says yes."""
    if not sys.stdin.isatty():
        raise Failure("this asks before it acts, and nobody is there to answer: add --yes", USAGE_ERROR)
    if not typer.confirm(question, err=True):
        raise Failure("nothing was done")


def asking(do: Callable[[bool], object], yes: bool) -> object:
    """Do it; where the daemon asks first, show why, and go on only if somebody says yes."""
    try:
        return do(yes)
    except AskedFirst as warning:
        sys.stderr.write(f"majlis: {warning}\n")
    ask("Do it all the same?")
    return do(True)


def post_asking(client: AdminClient, path: str, body: dict[str, object], yes: bool) -> object:
    """Change something; where the daemon asks first, so does this."""
    return asking(lambda sure: client.post(path, body={**body, "yes": sure}), yes)

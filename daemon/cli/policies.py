"""`majlis simulate --policy`: what policies of the window are worth, on people who write to each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from daemon.cli.client import USAGE_ERROR, Failure
from daemon.cli.render import cell, display, print_json, table
from daemon.simulate import HearingPolicy, NotTurns, PersonTurn, compared, drawn_turns, policy_of, turns_in

PEOPLE = 20_000
"""Turns that are drawn where no file is given: a tenth of a second for each policy, and figures to half a per cent."""


def compare(
    names: Sequence[str], model_seconds: float, presence: float, turns: Path | None, seed: int, json: bool
) -> None:
    """Print what each of these policies does with the same people. `presence`: in per cent."""
    policies = [_policy(name) for name in names]
    people = drawn_turns(PEOPLE, seed) if turns is None else _read(turns, seed)
    found = {policy.name: compared(people, policy, model_seconds, presence / 100) for policy in policies}
    if json:
        print_json({name: msgspec.to_builtins(figures) for name, figures in found.items()})
        return
    right = ("cut short", "reply after", "calls a turn", "thrown away")
    shown = table("policy", *right, right=right)
    for name, figures in found.items():
        shown.add_row(
            cell(name),
            f"{figures.cut:.1%}",
            f"{figures.reply_seconds:.1f} s",
            f"{figures.calls:.2f}",
            f"{figures.thrown_away:.0%}",
        )
    whose = f"people drawn by seed {seed}" if turns is None else turns.name
    display(
        cell(
            f"{len(people):,} turns of {whose}, a model that takes {model_seconds:g} s, "
            f"typing seen of {presence:g} %"
        ),
        "",
        shown,
    )


def _policy(name: str) -> HearingPolicy:
    try:
        return policy_of(name)
    except ValueError as error:
        raise Failure(f"--policy: {error}", USAGE_ERROR) from None


def _read(path: Path, seed: int) -> list[PersonTurn]:
    try:
        return turns_in(path, seed)
    except NotTurns as error:
        raise Failure(f"{path}: {error}", USAGE_ERROR) from None
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}", USAGE_ERROR) from None

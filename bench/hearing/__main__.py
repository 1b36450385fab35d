"""`make bench-hearing`: how often people are cut short, and how long they wait for their reply.

Turns of people (drawn from tables, or a file's) are played to real actors on a mock clock, by each policy, with models
of several speeds, and with typing seen of none, half and most of the people.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from bench import goals
from bench.goals import Goal
from bench.hearing.cases import CASES, MODELS, NOBODY, RULE, Case, judged
from bench.hearing.real import heard, portions
from daemon.simulate import (
    NotTurns,
    PersonTurn,
    PolicyFigures,
    compared,
    drawn_turns,
    figures_of,
    policy_of,
    sampled,
    turns_in,
)

SAMPLE = 6_000
"""Turns of each case, unless told otherwise: a cut share is then known to half a per cent."""
DRAWN = 20_000
PORTION = 500


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench-hearing", description=__doc__)
    options.add_argument(
        "--turns", type=Path, metavar="FILE", help="turns of real people, see bench/README.md"
    )
    options.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help="turns of each case")
    options.add_argument("--all", action="store_true", help="all turns of the file")
    options.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the people, the sample, the presence"
    )
    options.add_argument("--json", action="store_true", help="for programs")
    chosen = options.parse_args()
    try:
        turns = turns_in(chosen.turns, chosen.seed) if chosen.turns else drawn_turns(DRAWN, chosen.seed)
    except (OSError, NotTurns) as error:
        sys.exit(f"{chosen.turns}: {error}")
    if not chosen.all:
        turns = sampled(turns, chosen.sample, chosen.seed)
    found = _played(turns)
    simulated = {
        case: compared(turns, policy_of(case.policy), case.model_seconds, case.presence) for case in CASES
    }
    reached = judged(found, simulated)
    if chosen.json:
        print(json.dumps(_document(found, reached), indent=2))  # noqa: T201
        return
    whose = chosen.turns.name if chosen.turns else f"people drawn by seed {chosen.seed}"
    print(f"{len(turns):,} turns of {whose}")  # noqa: T201
    print("\n".join([*_tables(found), "", *goals.lines(reached)]))  # noqa: T201


def _played(turns: Sequence[PersonTurn]) -> Mapping[Case, PolicyFigures]:
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        work = {
            case: [processes.submit(heard, some, case) for some in portions(turns, PORTION)] for case in CASES
        }
        return {
            case: figures_of(one for part in parts for one in part.result()) for case, parts in work.items()
        }


def _tables(found: Mapping[Case, PolicyFigures]) -> list[str]:
    lines = []
    for model in MODELS:
        rule = found[Case(RULE, NOBODY, model)]
        lines += ["", f"a model that takes {model:g} s"]
        lines.append(
            f"  {'policy':<28}{'presence':>9}{'cut':>8}{'× rule':>8}{'reply':>9}{'calls':>7}{'thrown':>8}"
        )
        for case, one in found.items():
            if case.model_seconds == model:
                lines.append(
                    f"  {case.policy:<28}{case.presence:>9.0%}{one.cut:>8.1%}{one.cut / rule.cut:>8.2f}"
                    f"{one.reply_seconds:>7.1f} s{one.calls:>7.2f}{one.thrown_away:>8.0%}"
                )
    return lines


def _document(found: Mapping[Case, PolicyFigures], reached: Sequence[Goal]) -> dict[str, Any]:
    cases = [case._asdict() | msgspec.to_builtins(figures) for case, figures in found.items()]
    return {"cases": cases, "goals": [goal.document() for goal in reached]}


if __name__ == "__main__":
    main()

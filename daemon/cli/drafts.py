"""`majlis try`, `majlis eval`: a prompt before it is live.

Nothing is sent to customers and nothing is stored; what the answers cost is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from actors.text import normalised
from daemon.cli.client import (
    FAILED,
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    file_text,
    view,
)
from daemon.cli.render import cell, count, display, duration, facts, money, print_json
from daemon.operate.drafts import MAX_DRAFT_CHARS, TriedAnswer, TurnTriedAgain
from daemon.operate.turns import TurnPage

MAX_FILE_CHARS = 1024 * 1024
MAX_LISTED = 500
TriedInstance = Annotated[str, typer.Argument(metavar="INSTANCE", help="The name of the instance.")]
PromptOption = Annotated[
    Path | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="FILE",
        help="A file with the prompt to try. Without it: the one that is live.",
    ),
]


def try_prompt(
    instance: TriedInstance,
    question: Annotated[
        list[str] | None,
        typer.Argument(metavar="MESSAGE", help="What a customer without history writes, in one burst."),
    ] = None,
    prompt: PromptOption = None,
    last: Annotated[
        int,
        typer.Option(
            "--last",
            "-n",
            min=0,
            max=100,
            metavar="N",
            help="Ask the last N answered turns once more.",
            show_default=False,
        ),
    ] = 0,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Try a prompt before it is live: ask a question with it, or lay its answers beside those that customers got.

    Nothing is sent, stored or cached. What it costs is real, and counts for the instance's day. Texts of customers are
    shown with --reveal, which needs level admin.

    Example: majlis try acme "Are you open on Friday?" --prompt draft.txt

    Example: majlis try acme --last 20 --prompt draft.txt --reveal
    """
    if bool(question) == bool(last):
        raise Failure("give a message to ask, or --last N for turns that were answered", USAGE_ERROR)
    client, draft = client_of(config, set_), _prompt(prompt)
    if question:
        answer = _ask(client, instance, question, draft)
        if json:
            print_json(answer)
        else:
            display(facts(_answer_rows(answer)))
        return
    turns = _last_answered(client, instance, last)
    tried = []
    for number in turns:
        document = client.post(f"/v1/turns/{number}/try", {"reveal": reveal}, {"prompt": draft})
        one = view(document, TurnTriedAgain)
        tried.append(one)
        if not json:
            display(facts(_turn_rows(one)), "")
    if json:
        print_json(tried)
        return
    display(cell(_in_all(tried), "dim"))


def _ask(client: AdminClient, instance: str, messages: Sequence[str], draft: str | None) -> TriedAnswer:
    path = f"/v1/instances/{quote(instance, safe='')}/try"
    return view(client.post(path, None, {"messages": list(messages), "prompt": draft}), TriedAnswer)


def _last_answered(client: AdminClient, instance: str, last: int) -> list[int]:
    """The newest first: of the latest turns, those that a provider answered."""
    page = view(client.get("/v1/turns", {"instance": instance, "limit": MAX_LISTED}), TurnPage)
    found = [
        turn.id
        for turn in page.turns
        if turn.state in ("done", "answered", "suppressed") and turn.rule in ("", "shadow") and turn.provider
    ]
    if not found:
        raise Failure(f"{instance} has no answered turn among its latest {MAX_LISTED}")
    return found[:last]


def _prompt(file: Path | None) -> str | None:
    if file is None:
        return None
    text = file_text(file, MAX_FILE_CHARS)
    if len(text) > MAX_DRAFT_CHARS:
        raise Failure(
            f"{file}: a prompt has at most {MAX_DRAFT_CHARS:,} characters; it has {len(text):,}", USAGE_ERROR
        )
    return text


def _answer_rows(answer: TriedAnswer) -> list[tuple[str, object]]:
    said = answer.answer or ("(the model chose to say nothing)" if answer.silent else "")
    rows: list[tuple[str, object]] = [("answer", cell(said))] if said else []
    if answer.failed:
        rows.append(("failed", cell(answer.failed.replace("_", " "), "red")))
    if answer.escalation:
        rows.append(("escalates", cell(f"a person would be asked for: {answer.escalation}", "yellow")))
    rows.append(("took", f"{duration(answer.seconds)}, cost {money(answer.cost)}, {answer.provider or '-'}"))
    return rows


def _turn_rows(one: TurnTriedAgain) -> list[tuple[str, object]]:
    before, now = one.before, one.now
    rows: list[tuple[str, object]] = [
        ("turn", f"{one.turn} of {one.conversation}"),
        ("customer", cell(one.text)),
        ("before", cell(before.text)),
        ("", f"{duration(before.seconds)}, cost {money(before.cost)}, {before.provider or '-'}"),
        ("now", cell(now.failed.replace("_", " "), "red") if now.failed else cell(now.text)),
        ("", f"{duration(now.seconds)}, cost {money(now.cost)}, {now.provider or '-'}"),
    ]
    if now.escalation:
        rows.append(("escalates", cell(f"a person would be asked for: {now.escalation}", "yellow")))
    return rows


def _in_all(tried: Sequence[TurnTriedAgain]) -> str:
    before, now = sum(one.before.cost for one in tried), sum(one.now.cost for one in tried)
    failed = sum(bool(one.now.failed) for one in tried)
    words = f"{count(len(tried), 'turn')}: cost {money(before)} before, {money(now)} now"
    return f"{words}; {failed} without an answer" if failed else words


class Expectations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer must be like. Texts are compared without regard to case, accents and spelling of letters."""

    contains: list[str] = []
    """All of these."""
    contains_any: list[str] = []
    lacks: list[str] = []
    max_chars: int | None = None
    escalates: bool | None = None
    """Whether a person would be asked for."""
    silent: bool = False


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ask: str | list[str]
    expect: Expectations = Expectations()
    name: str = ""

    @property
    def messages(self) -> list[str]:
        return [self.ask] if isinstance(self.ask, str) else self.ask


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of questions with expectations."""

    instance: str
    cases: list[Case]
    prompt: str | None = None
    prompt_file: str | None = None
    """Beside the file itself, unless it begins with a slash."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    passed: bool
    why: list[str] = []
    """What was expected and is not so."""
    answer: TriedAnswer


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Questions with expectations, as YAML.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the questions of a file, and say which answers are as expected. Exit status 1 if any is not.

    The file names an instance, a prompt (or none: the one that is live), and cases:

        instance: acme
        prompt_file: draft.txt
        cases:
          - ask: "Are you open on Friday?"
            expect: {contains: ["Friday"], lacks: ["I am an AI"], max_chars: 400}
          - ask: ["I want", "to talk to a person"]
            expect: {escalates: true}

    What can be expected: contains (all of these), contains_any (one of these), lacks (none of these), max_chars,
    escalates (a person would be asked for), silent (the model says nothing).

    Nothing is sent or stored. What the answers cost is real, and counts for the instance's day.

    Example: majlis eval questions.yaml
    """
    wanted = _evaluation(file)
    draft = wanted.prompt
    if wanted.prompt_file is not None:
        draft = _prompt(file.parent / wanted.prompt_file)
    client, judged = client_of(config, set_), []
    for number, case in enumerate(wanted.cases, 1):
        answer = _ask(client, wanted.instance, case.messages, draft)
        why = misses(case.expect, answer)
        one = Judged(name=case.name or case.messages[0][:60], passed=not why, why=why, answer=answer)
        judged.append(one)
        if not json:
            mark = cell("passed", "green") if one.passed else cell("FAILED", "bold red")
            line = cell(f"{number}/{len(wanted.cases)} ") + mark + cell(f"  {one.name}")
            display(line, *(cell(f"  {each}", "red") for each in why))
    failed = sum(not one.passed for one in judged)
    if json:
        print_json(judged)
    else:
        cost, seconds = sum(one.answer.cost for one in judged), sum(one.answer.seconds for one in judged)
        display(
            cell(
                f"{len(judged) - failed} passed, {failed} failed; cost {money(cost)}, {duration(seconds)}",
                "dim",
            )
        )
    if failed:
        raise typer.Exit(FAILED)


def misses(expected: Expectations, answer: TriedAnswer) -> list[str]:
    """What is not as expected, each as a sentence. Pure."""
    if answer.failed:
        return [f"there is no answer: {answer.failed}"]
    said = normalised(answer.answer)
    found = [f"it lacks {text!r}" for text in expected.contains if normalised(text) not in said]
    if expected.contains_any and not any(normalised(text) in said for text in expected.contains_any):
        found.append(f"it has none of {', '.join(map(repr, expected.contains_any))}")
    found += [f"it says {text!r}" for text in expected.lacks if normalised(text) in said]
    if expected.max_chars is not None and len(answer.answer) > expected.max_chars:
        found.append(f"it has {len(answer.answer):,} characters, more than {expected.max_chars:,}")
    if expected.escalates is not None and bool(answer.escalation) != expected.escalates:
        found.append(
            "a person would not be asked for" if expected.escalates else "a person would be asked for"
        )
    if expected.silent != answer.silent:
        found.append("the model says something" if expected.silent else "the model chose to say nothing")
    return found


def _evaluation(file: Path) -> Evaluation:
    try:
        wanted = msgspec.yaml.decode(file_text(file, MAX_FILE_CHARS), type=Evaluation)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Failure(f"{file}: {error}", USAGE_ERROR) from None
    if not wanted.cases:
        raise Failure(f"{file}: has no cases", USAGE_ERROR)
    if wanted.prompt is not None and wanted.prompt_file is not None:
        raise Failure(f"{file}: give prompt or prompt_file, not both", USAGE_ERROR)
    return wanted

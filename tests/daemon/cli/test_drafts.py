"""`majlis try` and `majlis eval`: what is asked, and which answers are as expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.cli.drafts import Expectations, misses
from daemon.operate.drafts import TriedAnswer
from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread


def answer(text: str = "", **more: object) -> TriedAnswer:
    return TriedAnswer(answer=text, seconds=0.1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expected", "said", "missed"),
    [
        (Expectations(contains=["يوم الجمعه"]), answer("نحن مغلقون يوم الجمعة"), []),
        (Expectations(contains=["friday", "NINE"]), answer("On Friday at ten."), ["it lacks 'NINE'"]),
        (Expectations(contains_any=["ten", "10"]), answer("at 10"), []),
        (Expectations(contains_any=["ten", "10"]), answer("later"), ["it has none of 'ten', '10'"]),
        (Expectations(lacks=["AI"]), answer("As an ai I cannot"), ["it says 'AI'"]),
        (Expectations(max_chars=3), answer("four"), ["it has 4 characters, more than 3"]),
        (Expectations(escalates=True), answer("hm"), ["a person would not be asked for"]),
        (
            Expectations(escalates=False),
            answer("hm", escalation="asks_for_human"),
            ["a person would be asked for"],
        ),
        (Expectations(), answer(silent=True), ["the model chose to say nothing"]),
        (Expectations(silent=True), answer(silent=True), []),
        (Expectations(contains=["x"]), answer(failed="timed_out"), ["there is no answer: timed_out"]),
    ],
)
def test_an_answer_is_as_expected_or_it_is_said_what_is_not(
    expected: Expectations, said: TriedAnswer, missed: list[str]
) -> None:
    assert misses(expected, said) == missed


def test_a_file_of_questions_is_asked_with_its_draft(
    door: DoorInThread, majlis: Typed, tmp_path: Path
) -> None:
    (tmp_path / "draft.txt").write_text("Be brief.")
    file = tmp_path / "questions.yaml"
    file.write_text(
        "instance: demo\nprompt_file: draft.txt\ncases:\n"
        "  - {ask: Are you open?, expect: {contains: [be brief, open]}}\n"
        "  - {name: two lines, ask: [I want, a room], expect: {lacks: [room]}}\n"
    )
    said = majlis("eval", str(file))
    assert said.status == 1 and "two lines" in said.out and "it says 'room'" in said.out
    assert "1 passed, 1 failed; cost 0.004" in said.out
    judged = json.loads(majlis("eval", str(file), "--json").out)
    assert [one["passed"] for one in judged] == [True, False]
    assert [prompt.system_prompt for prompt in door.operators.prompts] == ["Be brief."] * 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("instance: demo\ncases: []\n", "has no cases"),
        ("cases: [{ask: x}]\n", "instance"),
        ("instance: demo\ncases: [{ask: x, expect: {contain: [y]}}]\n", "contain"),
        ("instance: demo\nprompt: a\nprompt_file: b\ncases: [{ask: x}]\n", "not both"),
        ("instance: [\n", "questions.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(majlis: Typed, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(text)
    said = majlis("eval", str(file))
    assert said.status == 2 and words in said.err


@pytest.mark.usefixtures("door")
def test_a_question_or_the_last_turns_are_tried(majlis: Typed, tmp_path: Path) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text("Be brief.")
    said = majlis("try", "demo", "hello", "--prompt", str(draft))
    assert "Be brief.: hello" in said.out and "cost 0.002" in said.out
    assert majlis("try", "demo").status == 2 and majlis("try", "demo", "x", "--last", "1").status == 2
    nothing = majlis("try", "demo", "--last", "3")
    assert nothing.status == 1 and "no answered turn" in nothing.err
    assert majlis("try", "demo", "x", "--prompt", str(tmp_path / "none")).status == 2

"""What a model repeats of what it was told reaches no customer."""

from __future__ import annotations

import json

import pytest

from actors import prompt
from actors.messages import HistoryEntry, Passage, Prompt
from daemon.responders.echoes import without_echoes
from daemon.responders.extraction import extract

A = "It costs 12 SAR."
PASSAGE = prompt.passage_line(
    Passage(source="prices.pdf", text='Coffee: 12 [margin 40%] "x" {y}', relevance=1)
)
SITUATION = "It is Sunday, 29 November 2026, 10:30 in Asia/Riyadh (UTC+03:00)."


def _asked(**told: object) -> str:
    """The last turn of a question without words, as a model is asked it."""
    asked = Prompt(instance="shop", messages=(), **told)  # type: ignore[arg-type]
    return prompt.model_request(asked).turns[-1].text.removesuffix(prompt.NO_TEXT).rstrip()


KNOWS = _asked(
    situation=SITUATION, knowledge=(Passage(source="prices.pdf", text="margin 40% ]", relevance=1),)
)
SITUATED = _asked(situation=SITUATION)
BACK = _asked(handed_back=True, situation=SITUATION)

ECHOES = {
    "passages and situation": f"{KNOWS}\n\n{A}",
    "situation": f"{SITUATED}\n\n{A}",
    "on one line": f"{SITUATED} {A}",
    "handed back": f"{BACK}\n{A}",
    "behind the answer": f"{A}\n\n{KNOWS}",
    "twice": f"{KNOWS}\n{A}\n{KNOWS}",
    "before an envelope": f"{KNOWS}\n\n{json.dumps({'response': A, 'confidence': 1})}",
    "within the response": json.dumps({"response": f"{KNOWS}\n\n{A}"}),
    "without its bracket": f"{SITUATED.strip('[]')}\n\n{A}",
    "shortened": f"[From the business's system: It is Sunday.] {A}",
    "broken off": f"{A}\n\n{SITUATED[:90]}",
    "a passage": f"{PASSAGE}\n{A}",
    "passages behind it": f"{A}\n{PASSAGE}\n{PASSAGE}",
    "a passage that breaks off": f"{A}\n{PASSAGE[:40]}",
    "a passage in the response": json.dumps({"response": f"{A}\n{PASSAGE}"}),
    "passages with their heading": f"{prompt.REFERENCE}\n{PASSAGE}\n\n{A}",
    "the instructions": "\n\n".join((
        prompt.DEFAULT_SYSTEM_PROMPT, prompt.CUSTOMER_TEXT_IS_DATA, prompt.NOT_GIVEN, prompt.ENVELOPE,
        prompt.SILENCE_IS_AN_ANSWER, A,
    )),
    "what an envelope is": f"{prompt.ENVELOPE}\n{json.dumps({'response': A})}",
    "history left out": f"{prompt.EARLIER}\n{A}",
    "a picture": f"[image; it cannot be seen here] {A}",
    "a voice note": f"[voice message, 0:12; it cannot be heard here]\n{A}",
    "a reference": f"[answers the business's message: \"2) Sukkari [3 kg]\"]\n{A}",
    "an ad": f"[came from the ad: Big sale]\n{A}",
}  # fmt: skip


@pytest.mark.parametrize("said", ECHOES.values(), ids=ECHOES.keys())
def test_what_the_model_was_told_does_not_leave(said: str) -> None:
    assert extract(said).text == A


@pytest.mark.parametrize(
    "said",
    [KNOWS, SITUATED[:60], PASSAGE, prompt.ENVELOPE, prompt.EARLIER, "[image; it cannot be seen here]"],
)
def test_an_echo_alone_is_no_answer(said: str) -> None:
    found = extract(said)
    assert (found.text, found.is_silence) == ("", False)


@pytest.mark.parametrize(
    "text",
    [
        "[order: 3 items, total 90 SAR] is what we have.",
        'We sent {"source": "web", "text": "x", "id": 3} to you.',
        "The picture cannot be seen here.",
        "From the business's system you may order at any time.",
        "[answers] are below\n1. Yes",
        "Earlier messages are left out.",
    ],
)
def test_what_nobody_told_it_stays(text: str) -> None:
    assert without_echoes(text) == text


def test_every_sentence_that_a_model_is_told_is_known() -> None:
    """A sentence added to the prompt is taken out of answers too."""
    asked = Prompt(
        instance="shop",
        messages=(),
        history=(HistoryEntry("assistant", "hi"),),
        situation=SITUATION,
        handed_back=True,
        knowledge=(Passage(source="a", text="b", relevance=1),),
        may_be_silent=True,
    )
    request = prompt.model_request(asked)
    told = [request.system, request.turns[-1].text, *prompt.alternating(request.turns)[0].texts]
    assert [extract(text).text for text in told] == ["", "", ""]

"""Answers as providers of today write them, played through the real provider: what becomes of each.

`shapes/*.json` holds them, one file for each dialect; `source` says where such an answer is described or was seen. The
words are ours. `bodies` are the answers to one question and to its repetition with more room.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Prompt
from daemon.responders.dialect import Endpoint
from daemon.responders.http_provider import HttpProvider, ProviderTerms
from daemon.web.client import HttpClient
from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.models import SERVERS, dialect_of

SHAPES = Path(__file__).with_name("shapes")
PRICES = ProviderTerms(price_per_million_input_tokens=1, price_per_million_output_tokens=1)
Shape = dict[str, Any]


class Player(FaultServer):
    """Answers with what it is given, and with the last of it when it has no more."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []

    async def handle(self, request: Request, exchange: Exchange) -> None:
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await exchange.answer(status, body, headers)


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    with Player().running() as running:
        yield running


def shapes(kind: str) -> list[Shape]:
    found: list[Shape] = json.loads((SHAPES / f"{kind}.json").read_text())
    return found


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own() -> None:
    by_kind = {kind: shapes(kind) for kind in SERVERS}
    assert {path.stem for path in SHAPES.iterdir()} == set(SERVERS)
    assert all(len(found) >= 30 for found in by_kind.values())
    for found in by_kind.values():
        assert len({shape["name"] for shape in found}) == len(found)
        assert all(shape["source"] and shape["wants"] for shape in found)


@pytest.mark.parametrize("kind", list(SERVERS))
async def test_every_shape_becomes_what_it_says(kind: str, player: Player, http: HttpClient) -> None:
    """I14. What it costs is known whether it could be used or not; nothing of an error or a thought is an answer."""
    wrong = {}
    for shape in shapes(kind):
        player.answers = _answers(shape)
        wants = {"cut": "", **shape["wants"]} if "text" in shape["wants"] else shape["wants"]
        became = await _became(kind, f"{player.url}/v1", http, "bodies" in shape)
        if {name: became.get(name) for name in wants} != wants:
            wrong[shape["name"]] = (became, wants)
    assert wrong == {}


def _answers(shape: Shape) -> list[tuple[int, dict[str, str], bytes]]:
    status, headers = shape.get("status", 200), shape.get("headers", {})
    if "raw" in shape:
        return [(status, headers, shape["raw"].encode())]
    bodies = shape["bodies"] if "bodies" in shape else [shape["body"]]
    kind = {"content-type": "application/json", **headers}
    return [(status, kind, json.dumps(body).encode()) for body in bodies]


async def _became(kind: str, base_url: str, http: HttpClient, retry_cut: bool) -> Shape:
    dialect = dialect_of(kind, Endpoint("m", "k", base_url, max_output_tokens=64))
    provider = HttpProvider(http, "main", dialect, PRICES)
    try:
        answer = await provider.answer(Prompt("demo", ("When do you close?",), retry_cut=retry_cut))
    except TurnFailed as failure:
        after, spent = failure.retry_after_seconds, msgspec.structs.astuple(failure.spent)
        return {"failure": failure.reason, "after": after, "spent": _tokens(spent)}
    except TurnRefused as refusal:
        return {"refusal": refusal.reason, "spent": _tokens(msgspec.structs.astuple(refusal.spent))}
    spent = (answer.input_tokens, answer.output_tokens, answer.cost_micros)
    return {"text": answer.text, "model": answer.model, "cut": answer.cut, "spent": _tokens(spent)}


def _tokens(spent: tuple[int, int, int]) -> list[int]:
    tokens_in, tokens_out, cost = spent
    assert cost == tokens_in + tokens_out, "each token costs a millionth"
    return [tokens_in, tokens_out]

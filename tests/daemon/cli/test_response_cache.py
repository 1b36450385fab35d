"""`majlis cache`: counted and cleared."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from actors.lookups import CacheHit, MissReason, NotKept
from daemon.knowledge.cache_stats import REASONS
from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.support.operators import DoorInThread

_CACHED = """
    INSERT INTO majlis_answer_cache (instance, scope, question_hash, question, numbers, answer, expires_at)
    SELECT instance, '', n::text, 'question', '', '{}', now() + interval '1 day'
    FROM (VALUES ('acme', 3), ('other', 1)) AS kept (instance, entries), generate_series(1, entries) AS n
"""


_COUNTED = """
    INSERT INTO majlis_cache_hours (instance, hour, outcome, questions, input_tokens, output_tokens, cost_micros)
    SELECT 'acme', date_trunc('hour', now()) - make_interval(hours => ago), outcome, questions, 10 * ago, 0, 1e6 * ago
    FROM (VALUES ('hit_exact', 2, 1), ('hit_snippet', 1, 30), ('not_seen', 4, 30), ('not kept: moment', 3, 1))
         AS counted (outcome, questions, ago)
"""


def test_the_share_of_hits_is_told_with_what_became_of_the_others(door: DoorInThread, majlis: Typed) -> None:
    door.do(lambda: door.operators.db.fetch(_COUNTED))
    out = majlis("cache", "stats").out
    assert out.startswith(
        "answered from the cache: 43% of questions (7 days), 100% (24 h); saved in 7 days: 3 calls,"
    )
    assert "310 tokens, cost 31.00" in " ".join(out.split())
    lines = [line.split() for line in out.splitlines()]
    assert ["hit_exact:", "the", "same", "question", "2", "2"] in lines
    assert ["not_seen:", "not", "asked", "before", "0", "4"] in lines
    assert any(
        line[:4] == ["answer", "not", "kept:", "moment:"] and line[-2:] == ["3", "3"] for line in lines
    )
    week = json.loads(majlis("cache", "stats", "--json").out)["week"]
    assert (week["questions"], week["hits"], week["share"]) == (7, 3, 0.4286)
    assert week["outcomes"] == {"not_seen": 4, "hit_exact": 2, "hit_snippet": 1} and week["not_kept"] == {
        "moment": 3
    }


def test_the_outcomes_wrap_to_80_columns_and_no_number_is_lost(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = _COUNTED.replace("not kept: moment", "not kept: other_history").replace("1e6 *", "412 *")
    door.do(lambda: door.operators.db.fetch(counted))
    terminal = on_a_terminal(monkeypatch)
    majlis("cache", "stats")
    assert all(len(line) <= 80 for line in terminal.lines)
    shown = " ".join(" ".join(terminal.lines).split())
    assert "24 h 7 days" in shown and "something else than words" in " ".join(shown.split())
    assert any(
        line.startswith("answer not kept") and line.split()[-2:] == ["3", "3"] for line in terminal.lines
    )
    assert "cost 0.012772" in shown


def test_every_reason_is_told_in_words() -> None:
    assert set(REASONS) == _said_in(CacheHit) | _said_in(MissReason) | _said_in(NotKept)


def _said_in(words: object) -> set[object]:
    """Of a literal type, or a union of them."""
    return {word for one in get_args(words) for word in (_said_in(one) or {one})}


def test_cached_answers_are_counted_and_deleted(door: DoorInThread, majlis: Typed) -> None:
    door.do(lambda: door.operators.db.fetch(_CACHED))
    out = majlis("cache", "stats").out
    assert out.startswith("no questions in the last 7 days\n")
    assert "acme" in out and "other" in out and out.endswith("4 cached answers\n")
    document = json.loads(majlis("cache", "stats", "--instance", "acme", "--json").out)
    assert [row["entries"] for row in document["instances"]] == [3]
    nobody = majlis("cache", "stats", "--instance", "acmee")
    assert nobody.status != 0 and "no instance 'acmee'" in nobody.err
    assert majlis("cache", "clear", "--instance", "acme").out == "3 cached answers deleted\n"
    assert majlis("cache", "clear").out == "1 cached answer deleted\n"
    assert "acmee had none, see `majlis cache stats`" in majlis("cache", "clear", "-i", "acmee").out
    assert [entry.target for entry in door.operators.audited] == ["acme", "all instances", "acmee"]

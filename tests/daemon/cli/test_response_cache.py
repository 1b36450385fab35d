"""`majlis cache`: counted and cleared."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread

_CACHED = """
    INSERT INTO majlis_answer_cache (instance, scope, question_hash, question, numbers, answer, expires_at)
    SELECT instance, '', n::text, 'question', '', '{}', now() + interval '1 day'
    FROM (VALUES ('acme', 3), ('other', 1)) AS kept (instance, entries), generate_series(1, entries) AS n
"""


def test_cached_answers_are_counted_and_deleted(door: DoorInThread, majlis: Typed) -> None:
    door.do(lambda: door.operators.db.fetch(_CACHED))
    out = majlis("cache", "stats").out
    assert "acme" in out and "other" in out and out.endswith("4 cached answers\n")
    document = json.loads(majlis("cache", "stats", "--instance", "acme", "--json").out)
    assert [row["entries"] for row in document["instances"]] == [3]
    assert majlis("cache", "clear", "--instance", "acme").out == "3 cached answers deleted\n"
    assert majlis("cache", "clear").out == "1 cached answer deleted\n"
    assert "acmee had none, see `majlis cache stats`" in majlis("cache", "clear", "-i", "acmee").out
    assert [entry.target for entry in door.operators.audited] == ["acme", "all instances", "acmee"]

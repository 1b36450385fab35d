"""Recovery over many conversations: what cannot be loaded at once is named, and holds up no other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.errors import MirrorUnavailable
from actors.messages import Snapshot, WindowPolicy
from daemon.mirror import survey
from daemon.mirror.keys import Keyed
from tests.support.mirrors import PARTITIONS, fake_store, fenced_mirror, message


async def test_a_chunk_that_cannot_be_loaded_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """I2, I10: everything pending is found, with its state or by its name."""
    monkeypatch.setattr(survey, "CHUNK", 3)
    async with fake_store() as store:
        mirror = await fenced_mirror(store)
        everybody = {
            (await mirror.append(one, WindowPolicy())) and one.conversation
            for one in (message(number, contact=f"55 1/{number}") for number in range(20))
        }
        load, failed = mirror.load_many, list[int]()

        async def load_some(chunk: Sequence[Keyed]) -> list[Snapshot]:
            if len(failed) < 2:
                failed.append(len(chunk))
                raise MirrorUnavailable("timeout")
            return await load(chunk)

        monkeypatch.setattr(mirror, "load_many", load_some)
        found, unloaded = await survey.Survey(store, mirror).recover(range(PARTITIONS))
    assert failed == [3, 3] and len(unloaded) == 6
    loaded = [one.conversation for one in found]
    assert len(loaded) == 14 and {*loaded, *unloaded} == everybody
    assert all(one.waiting[0].message.conversation == one.conversation for one in found)

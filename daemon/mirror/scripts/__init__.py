"""The Lua scripts. Every change to the mirror is one script, and therefore atomic."""

from __future__ import annotations

from importlib.resources import files

from daemon.stores.redis import LuaScript

_FOLDER = files(__package__)
_PRELUDE = (_FOLDER / "prelude.lua").read_text(encoding="utf-8")


def _load(name: str) -> LuaScript:
    return LuaScript.of(f"{_PRELUDE}\n{(_FOLDER / f'{name}.lua').read_text(encoding='utf-8')}")


APPEND = _load("append")
FREEZE = _load("freeze")
WIDEN = _load("widen")
DEFER = _load("defer")
COMMIT = _load("commit")
FENCE = _load("fence")
DUE = _load("due")
LOAD = _load("load")
TOTALS = _load("totals")
INSTALL = _load("install")
STRAYS = _load("strays")
TIDY = _load("tidy")
GATHER = _load("gather")
MEASURE = _load("measure")
LOOK = _load("look")

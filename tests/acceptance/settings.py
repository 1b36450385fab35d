"""Settings for daemons under test, as mappings that are merged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI

ROOT = Path(__file__).parents[2]
Tree = dict[str, object]


def quick_settings(data_dir: Path) -> Tree:
    """Short windows and waits, and no sweep; otherwise the defaults. Replies go to the console.

    A sweep would ask the gateways' records in the middle of a long test, and meet the faults that it ordered there.
    """
    return {
        "data_dir": str(data_dir),
        "ingress": {"listen": "127.0.0.1:0"},
        "dashboard": {"listen": None},
        "batching": {"window_seconds": 0.6},
        "turn": {"backoff_seconds": [0.2, 0.4, 0.8]},
        "drain_seconds": 10,
        "sweep": {"enabled": False},
        "log": {"level": "debug", "format": "json"},
    }


def evolution(gateway: FakeEvolution, **more: object) -> Tree:
    """Settings: replies are sent through this gateway."""
    known = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
    return {"gateway": {**known, "timeout_seconds": 10, "settle_seconds": 0.3, **more}}


def openai(model: FakeOpenAI, **more: object) -> Tree:
    """Settings: this model answers."""
    known = {"name": "main", "kind": "openai", "base_url": model.base_url, "api_key": model.api_key}
    return {"responder": {"providers": [{**known, "model": "test", "timeout_seconds": 20, **more}]}}


def merged(*trees: Mapping[str, object]) -> Tree:
    """Merge settings mapping by mapping; the last one wins."""
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            before = result.get(key)
            both = isinstance(before, Mapping) and isinstance(value, Mapping)
            result[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


def shipped_settings(data_dir: Path) -> Tree:
    """The shipped `config.yaml`, except for data_dir, port and log."""
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    own = {"data_dir": str(data_dir), "ingress": {"listen": "127.0.0.1:0"}, "log": {"level": "debug"}}
    return merged(shipped, own, {"dashboard": {"listen": None}, "log": {"format": "json"}})

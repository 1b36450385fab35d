"""Ctrl-C: quiet while nothing has started, with a summary when files may be stored already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.knowledge.library import ChunkText, PostgresLibrary
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.test_knowledge import files, loads
from tests.support.operators import DoorInThread
from tests.support.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
SLOW = "import os, time; os.write(1, b'reading\\n'); time.sleep(60)\n"
"""In place of a library, so that the interrupt arrives during the imports however fast the machine is."""


def test_an_interrupt_during_imports_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(SLOW)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "status"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"reading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stderr is not None and process.stderr.read() == b""
    finally:
        process.kill()


def test_the_installed_command_starts_there_too() -> None:
    assert 'majlis = "daemon.__main__:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_an_interrupted_add_says_which_files_are_stored(
    door: DoorInThread, majlis: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("a.md", "b.md", "c.md", "d.md")]
    for path in paths:
        path.write_text(f"about {path.name}")
    put = PostgresLibrary.put

    async def interrupted(
        self: PostgresLibrary, instance: str, file: int, chunks: Sequence[ChunkText]
    ) -> None:
        if chunks[0].text == "about c.md":
            signal.pthread_kill(main_thread, signal.SIGINT)
        await put(self, instance, file, chunks)

    main_thread = threading.main_thread().ident or 0
    monkeypatch.setattr(PostgresLibrary, "put", interrupted)
    done = majlis("knowledge", "add", "acme", *map(str, paths))
    assert done.out == "a.md: added, 1 chunk\nb.md: added, 1 chunk\n"
    assert (done.status, done.err) == (
        130,
        "majlis: interrupted: stored: a.md, b.md; in progress (check with `majlis knowledge list acme`): c.md; not "
        "stored: d.md. Run the command again: files already stored are left unchanged\n",
    )
    assert {"a.md", "b.md"} <= set(files(door))


def test_an_interrupt_while_files_are_parsed_says_that_nothing_is_stored(
    door: DoorInThread, majlis: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.cli.knowledge.read", interrupted)
    done = majlis("knowledge", "add", "acme", str(tmp_path / "a.md"))
    assert (done.status, done.out, done.err) == (130, "", "majlis: interrupted: nothing is stored\n")
    assert loads(door) == []

"""A command that Majlis prints can be copied into a shell: a name in it may have spaces, and came from outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import daemon
from daemon.controls.pauses import ended_by
from daemon.ledger.rows import Pause

NAME = "مقهى السلام $(reboot)"
_OF_AN_INSTANCE = re.compile(
    r"majlis (?:instance|knowledge) [a-z]+ \{(?!shlex\.quote\()[\w.\[\]]+\}[`\s\"]|--instance \{(?!shlex\.quote\()"
)


def test_a_name_in_a_command_is_one_word() -> None:
    pause = Pause(NAME, datetime.now(UTC), None)
    assert ended_by(pause) == f"majlis resume --instance '{NAME}'"


def test_no_command_is_printed_with_a_name_as_it_is() -> None:
    root = Path(daemon.__file__).parent
    bare = {
        f"{path.relative_to(root)}: {found[0]}"
        for path in root.rglob("*.py")
        for found in _OF_AN_INSTANCE.finditer(path.read_text())
    }
    assert not bare, bare

"""Tables and fences of an answer: what becomes of them on a phone. Pure, total."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MAX_REPEATED_CHARS = 1_000
"""How much the names of a table's columns may take when each row repeats them."""
_PROSE = frozenset((
    "text", "txt", "plaintext", "plain", "markdown", "md", "whatsapp", "message", "arabic", "english",
))  # fmt: skip
CODE = frozenset((
    "bash", "sh", "shell", "zsh", "console", "powershell", "ps1", "bat", "python", "py", "javascript", "js", "jsx",
    "typescript", "ts", "tsx", "json", "jsonc", "yaml", "yml", "toml", "ini", "xml", "html", "css", "scss", "sql",
    "php", "java", "kotlin", "swift", "c", "cpp", "c++", "csharp", "c#", "cs", "go", "rust", "rs", "ruby", "rb",
    "perl", "lua", "dart", "r", "scala", "vb", "diff", "dockerfile", "makefile", "nginx", "http", "curl", "graphql",
    "csv", "latex", "tex", "regex", "solidity", "vue", "svelte", "haskell", "elixir", "matlab", "assembly",
))  # fmt: skip
_LOOKS_LIKE_CODE = re.compile(
    r"^[ \t]*(?:\$ \S|#!|//|/\*|</?[a-z][^>\n]{0,200}>"
    r"|(?:def|class|import|from|return|const|let|var|function|public)\b|(?:SELECT|INSERT|UPDATE|DELETE|CREATE)\b"
    r"|(?:curl|sudo|pip|npm|git|docker|cd|ls)[ \t]|[\w.-]{1,60}:[ \t]*\|$)"
    r"|[;{}][ \t]*$|=>|\w\(\)|\w\([\w\"', .]{0,80}\)[ \t]*$|^[ \t]*[\w.\[\]]{1,40}[ \t]*[-+*/|&]?=[ \t]*\S",
    re.MULTILINE,
)


def is_code(content: str, language: str) -> bool:
    """Whether a fence holds code, which stays monospaced, and no text that a model wrapped in a fence."""
    if not content or "```" in content or language in _PROSE:
        return False
    return language in CODE or _LOOKS_LIKE_CODE.search(content) is not None


def cells(row: str) -> list[str]:
    """The cells of a table's row; `\\|` is no border."""
    row = row.strip().removeprefix("|")
    row = row[:-1] if row.endswith("|") and not row.endswith("\\|") else row
    return [cell.replace("\0", "\\|").strip() for cell in row.replace("\\|", "\0").split("|")]


def as_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as lines.

    Two columns are lines "name: value". More are a block for each row, its first cell and then "name: value"; or where
    that would repeat the names of the columns too often, they are said once and each row has one line.

    Args:
      head: empty where the table has none.
    """
    if not head:
        return "\n".join(map(_line, rows))
    if not rows:
        return " – ".join(filter(None, head))
    names = [each.strip("*_ ") for each in head]
    if max(map(len, (head, *rows))) <= 2:
        title = [_bold(_line(names))] if len(names) == 2 and all(names) else []
        return "\n".join((*title, *map(_line, rows)))
    if len(rows) * sum(map(len, names)) > _MAX_REPEATED_CHARS:
        return "\n".join((_bold(_line(names)), *map(_line, rows)))
    return "\n\n".join(_block(names, row) for row in rows)


def _line(row: Sequence[str]) -> str:
    return _pair(row[0], ", ".join(filter(None, row[1:])))


def _block(names: Sequence[str], row: Sequence[str]) -> str:
    pairs = (_pair(names[i] if i < len(names) else "", value) for i, value in enumerate(row) if i and value)
    return "\n".join(filter(None, (_bold(row[0]), *pairs)))


def _pair(name: str, value: str) -> str:
    if not name or not value:
        return name or value
    return f"{name} {value}" if name.endswith((":", ":*", "：")) else f"{name}: {value}"


def _bold(text: str) -> str:
    return text if not text or "*" in text else f"*{text}*"

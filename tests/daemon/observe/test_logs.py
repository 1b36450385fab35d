"""Log lines: their form, what is masked in them, and that a slow reader stops nothing."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from daemon.observe import logs
from tests.support.patience import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def _structlog_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Stuck(io.StringIO):
    """A reader that does not read: the first write waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Event()
        self.let_go = threading.Event()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        self.busy.set()
        assert self.let_go.wait(PATIENCE_SECONDS)
        return super().write(text)


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def written(**fields: object) -> dict[str, object]:
    stream = io.StringIO()
    writer = logs.configure("info", "json", stream)
    logs.logger().info("turn.done", **fields)
    writer.close()
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


def test_a_line_is_one_json_object_with_time_level_and_event() -> None:
    line = written(conversation="3fa9c01b22", batch=2)
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "turn.done",
        "conversation": "3fa9c01b22",
        "batch": 2,
    }
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(("form", "stream"), [("auto", Terminal()), ("console", io.StringIO())])
def test_a_terminal_gets_readable_lines(form: logs.Format, stream: io.StringIO) -> None:
    writer = logs.configure("info", form, stream)
    logs.logger().info("turn.done", batch=2, waterfall={"history": [0.1, 2.0, "ok"]})
    writer.close()
    assert "turn.done" in stream.getvalue() and not stream.getvalue().startswith("{")
    assert "history" not in stream.getvalue(), "a line for a person stays one"
    assert ("\x1b[" in stream.getvalue()) == stream.isatty()


def test_a_pipe_gets_json_without_lower_levels() -> None:
    stream = io.StringIO()
    writer = logs.configure("warning", "auto", stream)
    logs.logger().info("turn.done")
    logs.logger().warning("turn.failed")
    writer.close()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["turn.failed"]


@pytest.mark.parametrize("key", ["text", "token", "apikey", "api_key", "API-Key", "authorization", "contact"])
def test_keys_that_hold_secrets_are_masked(key: str) -> None:
    """I11."""
    assert written(**{key: "canary"})[key] == "[masked]"


CANARY = "5511999990012"


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"+{CANARY}@s.whatsapp.net",
        f"x{CANARY}y",
        [CANARY, {"deep": CANARY}],
        {CANARY: {"deeper": (CANARY,)}},
        ValueError(CANARY),
        CANARY.encode(),
        {CANARY},
        "٥٥١١٩٩٩٩٩٠٠١٢",
    ],
)
def test_what_looks_like_a_phone_number_is_masked_everywhere(value: object) -> None:
    """I11."""
    shown = json.dumps(written(field=value), ensure_ascii=False)
    assert CANARY not in shown and "٥٥١١٩" not in shown


def test_a_traceback_shows_kinds_and_places_and_no_foreign_text() -> None:
    """I11."""
    stream = io.StringIO()
    writer = logs.configure("info", "json", stream)
    try:
        raise ValueError(f"{CANARY} wrote: good evening")
    except ValueError:
        logs.logger().exception("actor.crashed")
    writer.close()
    assert "good evening" not in stream.getvalue()
    line = json.loads(stream.getvalue())
    assert line["exception"].startswith("ValueError\n")
    assert "test_logs.py" in line["exception"]
    assert CANARY not in stream.getvalue()


def test_numbers_labels_and_instance_names_are_left_alone() -> None:
    fields: dict[str, object] = {
        "port": 12345678,
        "at_ms": 1_767_225_600_000,
        "ratio": 0.5,
        "ok": True,
        "none": None,
    }
    plain: dict[str, object] = {
        "conversation": "1234567890",
        "instance": "551133334444",
        "target": "c348908142",
    }
    line = written(**fields, **plain)
    assert {key: line[key] for key in (*fields, *plain)} == {**fields, **plain}


def test_a_value_cannot_forge_a_line_or_control_the_terminal() -> None:
    stream = io.StringIO()
    writer = logs.configure("info", "console", stream)
    logs.logger().info("message.ignored", instance="a\n2026 [info] forged\x1b[2J", kind="b\nc")
    writer.close()
    assert len(stream.getvalue().splitlines()) == 1 and "\x1b" not in stream.getvalue()


@given(st.text())
def test_no_run_of_seven_digits_survives(text: str) -> None:
    """I11."""
    masked = logs.mask_digits(text)
    run = 0
    for character in masked:
        run = run + 1 if character.isdecimal() else 0
        assert run < 7


@pytest.mark.parametrize("code", [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_a_value_cannot_turn_round_what_stands_beside_it(code: int) -> None:
    """Nor can the name of a nested value."""
    turned = f"gpj{chr(code)}.exe"
    shown = json.dumps(written(field=turned, nested={turned: [turned]}, instance=turned), ensure_ascii=False)
    assert chr(code) not in shown and "gpj.exe" in shown


def test_a_stuck_reader_loses_lines_and_never_blocks() -> None:
    """I14: writing returns at once; lines that did not fit are counted and reported."""
    stream = Stuck()
    writer = logs.LineWriter(stream, max_lines=2)
    writer.msg("first")
    assert stream.busy.wait(PATIENCE_SECONDS)
    for _ in range(5):
        writer.msg("next")
    stream.let_go.set()
    writer.close()
    lines = stream.getvalue().splitlines()
    assert lines.count("next") == 2
    assert json.loads(next(line for line in lines if line.startswith("{"))) == {
        "event": "log.dropped",
        "level": "warning",
        "lines": 3,
    }
    assert stream.writes == 3, "what waited is written together"


def test_a_reader_that_left_is_not_an_error() -> None:
    writer = logs.LineWriter(Gone())
    writer.msg("nobody reads this")
    writer.close()

"""Log lines: one event each, with a stable name and fields, to standard error.

Laws of this file:
- Coloured and readable on a terminal, one JSON object a line otherwise; the time is UTC.
- No field may carry a phone number, a text or a key (law 10). The code that logs is responsible for that; `redact` is
  the second line of defence: whatever looks like one is masked. Numbers stay numbers: ports, ids and milliseconds are
  logged as integers and are never touched.
- A slow reader of standard error (a stopped pager, a busy journal) never stops the daemon: lines wait in a
  bounded queue for one writer thread; when it is full, lines are dropped, counted, and the loss is logged.
"""

from __future__ import annotations

import atexit
import re
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TextIO, cast

import msgspec

from actors.errors import MajlisError
from actors.text import shown_text

if TYPE_CHECKING:  # commands come by this file for its masks and levels, and log nothing
    from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

Format = Literal["auto", "console", "json"]
LevelName = Literal["debug", "info", "warning", "error"]
LEVELS: dict[LevelName, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MASK = "[masked]"
MAX_QUEUED_LINES = 10_000
_FLUSH_SECONDS = 2.0
_GATHER_SECONDS = 0.02
_WRITE_CHARS = 2_000

_SECRET_KEYS = frozenset(
    (
        "text",
        "token",
        "apikey",
        "api_key",
        "authorization",
        "password",
        "secret",
        "dsn",
        "contact",
        "phone",
        "body",
        "prompt",
    )
)
_PLAIN_KEYS = ("timestamp", "level", "event", "conversation", "instance")
"""Values from closed sets, the clock, the keyed hash and the tenant's own name: unmasked, and first in each line."""
_LONG_NUMBER_DIGITS = 7
_LONG_NUMBER = re.compile(rf"\d{{{_LONG_NUMBER_DIGITS},}}")
_WORD_CHARS = 40
_LABEL = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{10}")
"""A conversation's label. It may have many digits in a row, and is no phone number."""


class LineWriter:
    """Writes lines from one thread of its own; `write` never waits.

    The first line after a pause is written at once, and what comes soon after it together: to wake a thread for each
    line costs the loop as much as the line itself.
    """

    def __init__(self, stream: TextIO, max_lines: int = MAX_QUEUED_LINES) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._max_lines = max_lines
        self._dropped = 0
        self._came = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def msg(self, message: str) -> None:
        if len(self._lines) >= self._max_lines:
            self._dropped += 1
            return
        self._lines.append(message)
        if not self._came.is_set():
            self._came.set()

    log = debug = info = warn = warning = error = critical = exception = msg

    def close(self) -> None:
        """Write what is still queued, within a bounded time."""
        self._closed.set()
        self._came.set()
        self._thread.join(_FLUSH_SECONDS)

    def _run(self) -> None:
        while self._lines or not self._closed.is_set():
            self._came.wait()
            self._came.clear()  # before the look: what comes after it sets this again
            while self._lines:
                self._put(self._next())
                dropped, self._dropped = self._dropped, 0
                if dropped:
                    self._put(_loss(dropped))
            self._closed.wait(_GATHER_SECONDS)

    def _next(self) -> str:
        """The lines that come next, so many as a pipe takes in one piece."""
        together = self._lines.popleft()
        while self._lines and len(together) + len(self._lines[0]) < _WRITE_CHARS:
            together += "\n" + self._lines.popleft()
        return together

    def _put(self, lines: str) -> None:
        try:
            self._stream.write(lines + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # standard error is gone, and with it the last place to report anything


def _loss(dropped: int) -> str:
    return msgspec.json.encode({"event": "log.dropped", "level": "warning", "lines": dropped}).decode()


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask what looks like a phone number, a text or a key. A structlog processor."""
    return masked_fields(event)


def masked_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """`fields` as they may be shown, the plain ones first."""
    plain = {key: _one_line(str(fields[key])) for key in _PLAIN_KEYS if key in fields}
    return plain | {key: masked(key, value) for key, value in fields.items() if key not in plain}


def masked(key: str, value: object) -> object:
    """`value` as it may be logged under `key`."""
    if value is None or value == "":
        return value
    if key.lower().replace("-", "_") in _SECRET_KEYS:
        return MASK
    return _masked_value(key, value)


def _masked_value(key: str, value: object) -> object:
    """Of a key that is no secret's."""
    if value is None or value == "":
        return value
    if isinstance(value, (bool, float)) or (isinstance(value, int) and value.bit_length() < 64):
        return value
    is_text = isinstance(value, str)  # as most are: it need not be asked whether it is a mapping
    if not is_text and isinstance(value, Mapping):
        return {_masked_line(str(name)): masked(str(name), item) for name, item in value.items()}
    if not is_text and isinstance(value, (list, tuple, set, frozenset)):
        return [_masked_value(key, item) for item in cast("Iterable[object]", value)]
    return _masked_text(str(value)) if key == "exception" else _masked_line(str(value))


def _masked_line(text: str) -> str:
    return _masked_word(text) if len(text) <= _WORD_CHARS else _one_line(_masked_text(text))


@lru_cache(maxsize=4096)
def _masked_word(word: str) -> str:
    """Most that is logged are the same few words, again and again."""
    return _one_line(_masked_text(word))


def _masked_text(text: str) -> str:
    text = shown_text(text)
    return text if _LABEL.fullmatch(text) else mask_digits(text)


def _one_line(text: str) -> str:
    """One event is one line, and no value can write to the operator's terminal but as text."""
    return shown_text(text).replace("\n", "⏎")


def mask_digits(text: str) -> str:
    """`text` with every run of seven or more digits shortened to its last two."""
    if len(text) < _LONG_NUMBER_DIGITS:
        return text
    return _LONG_NUMBER.sub(lambda found: f"…{found[0][-2:]}", text)


def leave_nested_out(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Keep a console line to one line: nested values, such as a turn's lookups, are in the JSON only. A processor."""
    return {key: value for key, value in event.items() if not isinstance(value, Mapping)}


def traces(exc_info: ExcInfo) -> str:
    """Where an exception came from: kinds and places, every branch of a group, but never a library's message.

    Libraries quote their input in messages, and that may be what a customer wrote. Our own messages are safe by rule.
    """
    lines: list[str] = []
    branches: list[BaseException] = [exc_info[1]]
    while branches:
        error = branches.pop(0)
        words = f": {error}" if isinstance(error, MajlisError) else ""
        lines.append(f"{type(error).__name__}{words}")
        for frame in traceback.extract_tb(error.__traceback__):
            lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
        if isinstance(error, BaseExceptionGroup):
            branches += error.exceptions
        elif error.__cause__ is not None:
            branches.append(error.__cause__)
    return "\n".join(lines)


def _json(event: EventDict, **_: object) -> str:
    return msgspec.json.encode(event).decode()


def configure(level: LevelName, format: Format, stream: TextIO) -> LineWriter:
    """Set up logging for this process, to `stream`; returns the writer, which is flushed at exit."""
    import structlog  # a tenth of a command's start, and only a daemon logs

    on_terminal = stream.isatty()
    console = format == "console" or (format == "auto" and on_terminal)
    renderer: Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=on_terminal, pad_event_to=20, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    writer = LineWriter(stream)
    atexit.register(writer.close)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(traces),
            redact,
            *([leave_nested_out] if console else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    return writer


def set_level(level: LevelName) -> None:
    """From now on, events below `level` are not logged. Loggers that were bound before keep their old level."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]))


def level() -> LevelName:
    """The least that is logged now."""
    log = logger().bind()
    return next((name for name, number in LEVELS.items() if log.is_enabled_for(number)), "error")


def logger() -> FilteringBoundLogger:
    """The logger of this process, as `configure` set it up."""
    import structlog

    return cast("FilteringBoundLogger", structlog.get_logger())

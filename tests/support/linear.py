"""Measures whether work on foreign bytes is linear. `tests/test_linear.py` runs it as a child process with a CPU limit.

What is measured is found by a scan of the syntax trees, so that a new pattern or reader is in it by itself:

- every regular expression that is compiled, with inputs made from its own parse tree: each of its repeats is pumped,
  behind what the pattern wants to see first, with everything that the repeat takes;
- every public function of a module whose first parameter is text or bytes;
- the decoders and methods that `tests/test_linear.py` names.

A cost is processor time of the thread. The rule: from 8 to 128 KiB the cost per byte grows at most fourfold. Costs
below a floor do not count. Minima of five are taken wherever one measurement does not settle it: one that is too high
can only accuse, so one that acquits is enough.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SIZES = (8 * 1024, 32 * 1024, 128 * 1024)
MAX_GROWTH = 4.0
"""Of the cost per byte, from the smallest size to the largest."""
FLOOR_SECONDS = 0.002
"""Nobody minds how a cost grew that is below it at 128 KiB; and the clock is not exact enough to say."""
_STEADY_GROWTH = 1.2
"""What grew no more from 8 to 32 KiB is linear up to 128 KiB: a square in it would show here."""
_DOUBTFUL_GROWTH = 2.5
"""From 8 to 32 KiB; a square grows fourfold."""
_NEGLIGIBLE_SECONDS = FLOOR_SECONDS / 4**2
"""At 32 KiB: a square would still be below the floor at 128."""
_HOPELESS_SECONDS = 0.025
_DEAR_INPUTS = 12
"""Of something that takes half a millisecond for 8 KiB of plain letters, no more inputs are tried: it goes through them
character by character, and each is as good as the other."""
_DEAR_SECONDS = 0.001
"""What takes longer at 32 KiB, and is steady, is not measured at 128: it would cost more than it says."""
_WHOLE_INPUTS = 4
"""Of each subject so many are measured at 128 KiB unless they are dear; of the others those that are not steady."""
_ROUNDS = 5

_parser: Any = importlib.import_module("re._parser")
_SEARCHING = frozenset({"search", "finditer", "findall", "sub", "subn", "split"})
_ANCHORED = frozenset({"match", "fullmatch"})
_TEXT_TYPES = frozenset(
    {"str", "bytes", "bytearray", "object", "str | bytes", "bytes | bytearray", "bytes | str"}
)

CHARACTERS = " \n\t\ra0_-.,:;#=%/\\\"'`()[]{}<>&@+\0\x01م٣\u064b\u202e。😀\ud800"
"""One or two of every class that patterns know."""
TAIL = "\x01"
"""What hardly any pattern wants to see at the end."""
UNITS = (
    *" \na0\\\"'{[<&#.:,م\0\u0300",
    '\\"',
    "\\u00",
    "\r\n",
    "a ",
    "a.",
    ". ",
    "a: ",
    "a=b&",
    "0123456789",
    "<a ",
    "<!--",
    "<p>",
    "</",
    "&#",
    "```",
    "\n# a",
    "http://",
    "9e300,",
    "[],",
    '{"a":',
    '"a":1,',
    "السعر ",
)
DOCUMENTS = (
    "9e300,",
    "1e-300,",
    "[],",
    "{},",
    '"",',
    '{"a":[]},',
    "0.5,",
    "9" * 18 + ",",
    '"\\ud83d",',
    "[[[[]]]],",
)
"""Items of a JSON array."""


class Subject(NamedTuple):
    """Something that reads foreign text."""

    name: str
    run: Callable[[str], object]
    inputs: tuple[tuple[str, str, str], ...]
    """Head, unit and tail: the unit is repeated until the input has its size."""


# The scan


@lru_cache(maxsize=1)
def modules() -> list[tuple[str, ast.Module]]:
    """The modules of both packages, by name."""
    files = [path for package in ("actors", "daemon") for path in sorted((ROOT / package).rglob("*.py"))]
    names = (
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files
    )
    return [(name, ast.parse(path.read_text("utf-8"))) for name, path in zip(names, files, strict=True)]


@cache
def _calls(tree: ast.Module) -> tuple[ast.Call, ...]:
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Call))


@cache
def _attributes(tree: ast.Module) -> tuple[tuple[str, str], ...]:
    """Each that is taken of something, and of what."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return tuple((node.attr, ast.unparse(node.value)) for node in found)


def patterns_in(tree: ast.Module) -> Iterator[str]:
    """Where patterns are: the name of the module's variable; a call inside a function is named by its text."""
    if not any(map(_is_pattern, _calls(tree))):
        return
    inside = {
        id(node) for top in tree.body if isinstance(top, ast.Assign | ast.AnnAssign) for node in ast.walk(top)
    }
    for top in tree.body:
        if isinstance(top, ast.Assign | ast.AnnAssign) and any(map(_is_pattern, ast.walk(top))):
            target = top.targets[0] if isinstance(top, ast.Assign) else top.target
            yield ast.unparse(target)
    for node in _calls(tree):
        if _is_pattern(node) and id(node) not in inside:
            pattern = node.args[0]
            yield str(pattern.value) if isinstance(pattern, ast.Constant) else ast.unparse(pattern)


def _is_pattern(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in {"compile", *_SEARCHING, *_ANCHORED}
    )


def decoders_in(tree: ast.Module) -> Iterator[str]:
    """Every decoder of JSON, by the function it is in, or by its module's variable."""
    if not any(map(_is_decoder, _calls(tree))):
        return
    for top in ast.walk(tree):
        if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef):
            own = [node for node in ast.walk(top) if _is_decoder(node)]
            if own:
                yield top.name
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(map(_is_decoder, ast.walk(statement))):
            yield ast.unparse(statement.targets[0])


def _is_decoder(node: ast.AST) -> bool:
    words = (
        "json.decode",
        "json.loads",
        "json.Decoder",
        "json.JSONDecoder",
        "msgpack.decode",
        "msgpack.Decoder",
    )
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and any(word.endswith(f".{node.func.attr}") for word in words)
        and ast.unparse(node.func).endswith(words)
    )


def readers_in(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Public functions that are given text, and the names of their other arguments that must be given."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        taken = node.args.posonlyargs + node.args.args
        first = taken[0].annotation if taken else None
        if first is None or ast.unparse(first) not in _TEXT_TYPES:
            continue
        needed = [one.arg for one in taken[1 : len(taken) - len(node.args.defaults)]]
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        yield node.name, needed + [one.arg for one, default in named if default is None]


# Inputs from a pattern


def pattern_subject(name: str, pattern: re.Pattern[Any], used: set[str]) -> Subject:
    """A pattern as the module uses it: searching includes every way to search."""
    of_bytes = isinstance(pattern.pattern, bytes)

    def run(text: str) -> None:
        given: Any = _as_bytes(text) if of_bytes else text
        if used & _SEARCHING or not used & _ANCHORED:
            for _ in pattern.finditer(given):
                pass
        pattern.match(given)
        pattern.fullmatch(given)

    return Subject(name, run, tuple(dict.fromkeys(_attacks(pattern))))


def methods_used(tree: ast.Module, name: str) -> set[str]:
    """The methods that a module calls on a variable, or on what comes out of it."""
    return {attr for attr, of in _attributes(tree) if of == name or of.startswith(f"{name}[")}


def _attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    tree = _parser.parse(source, flags)
    words = list(dict.fromkeys(_literals(tree)))
    for unit in (*words, " ", "a", "0", "\n", "".join(words[:2]), _sample(tree, 1)):
        if unit:
            yield "", unit, ""
    for head, body in _repeats(list(tree), ""):
        for unit in _pumps(body):
            yield head, unit, TAIL
            if head:
                yield "", head + unit, TAIL


def _literals(tree: Any) -> Iterator[str]:
    """Every run of letters that the pattern spells out."""
    word = ""
    for op, given in tree:
        if str(op) == "LITERAL":
            word += chr(given)
            continue
        if word:
            yield word
        word = ""
        for inner in _inner(str(op), given):
            yield from _literals(inner)
    if word:
        yield word


def _inner(op: str, given: Any) -> list[Any]:
    match op:
        case "BRANCH":
            return list(given[1])
        case "SUBPATTERN":
            return [given[3]]
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [given[2]]
        case "ATOMIC_GROUP":
            return [given]
        case "ASSERT" | "ASSERT_NOT":
            return [given[1]]
        case _:
            return []


def _sample(tree: Any, times: int) -> str:
    """A text that the pattern takes; its repeats as seldom as they may be, but at least `times`."""
    parts = []
    for op, given in tree:
        match str(op):
            case "LITERAL":
                parts.append(chr(given))
            case "ANY":
                parts.append("a")
            case "NOT_LITERAL" | "IN":
                parts.append(next(iter(_class(str(op), given)), ""))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                parts.append(_sample(given[2], times) * max(given[0], min(times, given[1])))
            case "ASSERT" | "ASSERT_NOT":
                pass
            case _:
                parts += [_sample(inner, times) for inner in _inner(str(op), given)[:1]]
    return "".join(parts)


def _repeats(tree: list[Any], head: str) -> Iterator[tuple[str, Any]]:
    """Each repeat of the pattern that may run on, with a text that leads to it."""
    for at, (op, given) in enumerate(tree):
        before = head + _sample(tree[:at], 1)
        if "REPEAT" in str(op) and given[1] > 64:
            yield before, given[2]
        for inner in _inner(str(op), given):
            yield from _repeats(list(inner), before)


def _pumps(body: Any) -> list[str]:
    """What a repeat takes: some of every kind of its class, or a text for the whole of it."""
    [*items] = body
    if len(items) == 1 and str(items[0][0]) in ("IN", "ANY", "NOT_LITERAL", "LITERAL"):
        op, given = items[0]
        return [" ", "a", "\\"] if str(op) == "ANY" else _class(str(op), given)[:5]
    return list(dict.fromkeys(filter(None, (_sample(body, 1), _sample(body, 0), *_literals(body)))))


def _class(op: str, given: Any) -> list[str]:
    if op == "LITERAL":
        return [chr(given)]
    if op == "NOT_LITERAL":
        return [one for one in CHARACTERS if ord(one) != given]
    negated = str(given[0][0]) == "NEGATE"
    own = [chr(low) for kind, low in given if str(kind) == "LITERAL"]
    own += [chr(low[0]) for kind, low in given if str(kind) == "RANGE"]
    return [one for one in dict.fromkeys((*CHARACTERS, *own)) if _in_class(given, one) != negated]


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


def _in_class(given: Any, character: str) -> bool:
    for kind, value in given:
        match str(kind):
            case "LITERAL" if value == ord(character):
                return True
            case "RANGE" if value[0] <= ord(character) <= value[1]:
                return True
            case "CATEGORY":
                *_, negated, word = ["", *str(value).replace("NOT_", "!_").split("_")]
                if bool(re.match(_CATEGORIES[word], character)) != (negated == "!"):
                    return True
    return False


# The measurement


def reader_subject(name: str, run: Callable[[str], object], words: Sequence[str] = ()) -> Subject:
    """A function or method. `words`: what its module looks for, to be repeated as well."""
    units = tuple(dict.fromkeys((*UNITS, *words)))
    documents = tuple(("[", unit, "0]") for unit in DOCUMENTS)
    return Subject(
        name, run, (*(("", unit, "") for unit in units), *documents, ("", "[", ""), ('{"a":"', "\\\\", '"}'))
    )


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def filled(head: str, unit: str, tail: str, size: int) -> str:
    return head + unit * max(1, (size - len(head) - len(tail)) // len(unit)) + tail


def _cost(run: Callable[[str], object], text: str) -> float:
    """Seconds of this thread. What it raises is its own affair, if it takes no longer for that."""
    began = time.thread_time()
    with contextlib.suppress(Exception):
        run(text)
    return time.thread_time() - began


def growth(subject: Subject, attack: tuple[str, str, str], whole: bool = True) -> float:
    """By how much the cost per byte grows between the smallest and the largest size; 0 when that does not matter.

    `whole`: the largest size is measured also if the others say enough.
    """
    texts = [filled(*attack, size) for size in SIZES[:2]]
    run = subject.run
    small, middle = _cost(run, texts[0]), _cost(run, texts[1])
    share = len(texts[1]) / len(texts[0])
    if middle > _DEAR_SECONDS and middle > _DOUBTFUL_GROWTH * share * small:
        small, middle = _least(run, texts[0]), _least(run, texts[1], rounds=2)
        grown = middle / share / small
        if middle > _HOPELESS_SECONDS and grown > _DOUBTFUL_GROWTH:
            return grown**2  # a square would show so at the next size, which might take for ever
    if middle > _DEAR_SECONDS or not whole:
        if middle <= _NEGLIGIBLE_SECONDS:
            return 0.0
        small = min(small, _least(run, texts[0], rounds=2))
        if middle <= _STEADY_GROWTH * share * small:
            return 0.0
    text = filled(*attack, SIZES[2])
    share = len(text) / len(texts[0])
    large = _cost(run, text)
    if large <= FLOOR_SECONDS:
        return 0.0
    if large > MAX_GROWTH * share * (small := min(small, _least(run, texts[0]))):
        large = _least(run, text)
    return large / share / small if large > FLOOR_SECONDS else 0.0


def _least(run: Callable[[str], object], text: str, rounds: int = _ROUNDS) -> float:
    return max(1e-7, min(_cost(run, text) for _ in range(rounds)))


def faults(subjects: Sequence[Subject]) -> Iterator[str]:
    """Everything that grows too fast. The name of each subject is printed first: who kills this process reads it."""
    for subject in subjects:
        sys.stdout.write(f"at {subject.name}\n")
        sys.stdout.flush()
        gc.disable()  # its work depends on what else is in the process
        dear = _cost(subject.run, filled("", "a ", "", SIZES[0])) > 0.0005
        for number, attack in enumerate(subject.inputs[: _DEAR_INPUTS if dear else None]):
            if (grown := growth(subject, attack, whole=number < _WHOLE_INPUTS)) > MAX_GROWTH:
                yield f"{subject.name}: {attack!r} costs {grown:.1f} times as much per byte when there is more of it"
                break

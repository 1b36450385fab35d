"""flake8-async's rules are asked with less work than its command does: nothing may get lost by that."""

from __future__ import annotations

import pytest

UNSAFE_YIELD = "import trio\nasync def some():\n    with trio.move_on_after(1):\n        yield 1{}\n"
UNSAFE_AWAIT = (
    "import trio\nasync def some():\n    try:\n        pass\n    finally:\n        await trio.sleep(1){}\n"
)


def codes(text: str) -> list[str]:
    from tests.async_traps import traps  # late: it costs each process that collects the tests half a second

    return [trap.split()[1] for trap in traps(text)]


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("", ["ASYNC101", "ASYNC119"]),
        ("  # noqa: ASYNC119", ["ASYNC101"]),
        ("  # noqa: ASYNC101, ASYNC119", []),
        ("  # NOQA", []),
    ],
)
def test_a_yield_inside_a_cancel_scope_is_found_unless_silenced(comment: str, found: list[str]) -> None:
    assert codes(UNSAFE_YIELD.format(comment)) == found


@pytest.mark.parametrize(
    ("imported", "scope"),
    [
        ("import trio as t", "t.open_nursery() as nursery"),
        ("from trio import open_nursery", "open_nursery() as nursery"),
        ("from trio import fail_after as within", "within(1)"),
        ("import trio", "trio.CancelScope() as scope, other()"),
        ("import trio", "other(), trio.fail_at(1)"),
    ],
)
def test_a_scope_is_known_by_whatever_name_it_has_here(imported: str, scope: str) -> None:
    function = f"{imported}\nasync def some():\n    with {scope}:\n        yield 1\n"
    assert "ASYNC101" in codes(function)
    assert "ASYNC101" not in codes(function.replace("yield 1", "other()"))


@pytest.mark.parametrize(
    ("comment", "found"), [("", ["ASYNC102"]), ("  # noqa: E501", ["ASYNC102"]), ("  # noqa: ASYNC102", [])]
)
def test_a_file_without_yield_is_looked_at_too(comment: str, found: list[str]) -> None:
    assert codes(UNSAFE_AWAIT.format(comment)) == found


def test_a_server_whose_start_nobody_awaits_is_known_by_its_name() -> None:
    text = "import trio\nclass Some:\n    async def __aenter__(self) -> None:\n        self.nursery.start_soon({})\n"
    assert codes(text.format("run_embedded_redis")) == ["ASYNC113"]
    assert codes(text.format("some_other")) == []

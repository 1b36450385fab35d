"""Every error code of Postgres is decided, and only what a statement's values cause is blamed on the work."""

from __future__ import annotations

import builtins

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LedgerUnavailable
from daemon.stores.postgres import LedgerMisconfigured, _mapped
from daemon.stores.sqlstates import ADVICE, DRIVER_FAILED, DSN_UNUSABLE, TABLE, UNEXPECTED, meaning

WORK = {"20", "21", "22", "23", "27", "38", "44", "54", "MJ", "P0"}
"""Classes that speak about the values of one statement."""

CODES = sorted(
    {
        code
        for kind in vars(asyncpg.exceptions).values()
        if isinstance(kind, type) and isinstance(code := getattr(kind, "sqlstate", None), str)
    }
)


def test_the_driver_knows_the_appendix() -> None:
    assert len(CODES) > 200


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_appendix_has_its_cause(code: str) -> None:
    found = meaning(code)
    assert (found.cause == "work") is (code[:2] in WORK)
    assert bool(found.word) is (found.cause != "work")


TROUBLE = """
    55000 55006 57000 57P01 57P02 57P03 57P05 53000 53200 53400 08000 08006 08P01 XX000 XX001 26000 42P05 58030
    25001 25006 25P01 25P02 25P03 0A000 F0000 42501 42P01 42883 3F000
"""


@pytest.mark.parametrize("code", TROUBLE.split())
def test_trouble_of_a_server_or_a_pooler_replaces_the_session(code: str) -> None:
    found = meaning(code)
    assert found.cause in ("away", "setup") and not found.keeps_session


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=5, max_size=5))
def test_an_unknown_code_is_never_blamed_on_the_work(code: str) -> None:
    """It is held, with the code in the words; also one that no version of Postgres has yet."""
    if code[:2] in WORK:
        return
    assert meaning(code).cause != "work"
    error = asyncpg.PostgresError.new({"C": code, "S": "ERROR", "M": "value 5511987654321"})
    mapped = _mapped(error)
    assert type(mapped).__name__ in ("LedgerUnavailable", "LedgerMisconfigured")
    assert "5511987654321" not in str(mapped)
    if meaning(code) is UNEXPECTED:
        assert code in str(mapped)


def test_advice_is_for_words_that_exist() -> None:
    assert ADVICE.keys() <= {found.word for found in TABLE.values()} | {DRIVER_FAILED, DSN_UNUSABLE}


BUILTIN = sorted(
    (
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not ExceptionGroup
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", BUILTIN)
def test_an_error_of_the_drivers_is_never_blamed_on_the_work(kind: type[Exception]) -> None:
    """Nor shown with its data. Only the driver's own word about an argument is."""
    mapped = _mapped(kind.__new__(kind, "5511987654321"))
    assert isinstance(mapped, LedgerUnavailable)
    assert "5511987654321" not in str(mapped)
    assert isinstance(_mapped(asyncpg.ClientConfigurationError("5511987654321")), LedgerMisconfigured)

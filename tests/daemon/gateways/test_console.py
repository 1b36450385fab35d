"""The console gateway: what an operator sees."""

from __future__ import annotations

import io
import sys

import pytest

from actors.identity import Conversation
from actors.outcome import NotSent, Sent
from daemon.gateways.console import ConsoleGateway


async def test_the_console_prints_the_text_and_hides_the_contact(capsys: pytest.CaptureFixture[str]) -> None:
    """I11: the number stays hidden here too."""
    outcome = await ConsoleGateway().send(Conversation("demo", "5511900001095"), "Heard 2: مرحبا\nthere")
    assert outcome == Sent("")
    assert capsys.readouterr().out == "demo → …95\n    Heard 2: مرحبا\n    there\n"


@pytest.mark.parametrize(("contact", "shown"), [("168500006331@lid", "…31"), ("42", "…"), ("", "…")])
async def test_the_console_shows_at_most_two_digits(
    capsys: pytest.CaptureFixture[str], contact: str, shown: str
) -> None:
    """I11."""
    await ConsoleGateway().send(Conversation("demo", contact), "hello")
    assert capsys.readouterr().out.startswith(f"demo → {shown}\n")


async def test_a_text_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleGateway().send(Conversation("de\x1b[2Jmo", "5511900001095"), "\x1b]0;title\x07\rhello")
    assert not {"\x1b", "\x07", "\r"} & set(capsys.readouterr().out)


async def test_an_ascii_terminal_shows_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert await ConsoleGateway().send(Conversation("demo", "5511900001095"), "hello مرحبا") == Sent("")
    assert b"hello ?????" in raw.getvalue()


async def test_a_closed_console_holds_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    outcome = await ConsoleGateway().send(Conversation("demo", "5511900001095"), "hello")
    assert outcome == NotSent("console_closed", "hold")

"""`majlis simulate --policy`: a table in a moment, without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.cli import main, policies


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "PEOPLE", 500)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *arguments])
    out, err = capsys.readouterr()
    return ended.value.code if isinstance(ended.value.code, int) else 0, out, err


def test_policies_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--policy", "rule", "--policy", "quiet:10", "--presence", "50")
    head, _, columns, rule, quiet = out.splitlines()
    assert status == 0
    assert head == "500 turns of people drawn by seed 1, a model that takes 3 s, typing seen of 50 %"
    assert columns.split()[:3] == ["policy", "cut", "short"]
    assert (rule.split()[0], quiet.split()[0]) == ("rule", "quiet:10")


def test_the_turns_may_be_a_file_s(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "turns.csv"
    path.write_text("gaps_s,chars_le,kinds\n9,8|8,text|text\n,8,text\n")
    status, out, _ = run(capsys, "--policy", "rule", "--turns", str(path), "--model-seconds", "1", "--json")
    assert (status, json.loads(out)["rule"]["cut"]) == (0, 0.5)
    path.write_text("gaps_s,chars_le,kinds\n9,8,text|text\n")
    status, _, err = run(capsys, "--policy", "rule", "--turns", str(path))
    assert status == 2 and "line 2: " in err
    status, _, err = run(capsys, "--policy", "rule", "--turns", str(tmp_path / "none"))
    assert status == 2 and "cannot be read" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "rule", "--kill"), "--kill does not go with --policy"),
        (("--policy", "rule", "--set", "a=b"), "--set does not go with --policy"),
        (("--presence", "50"), "--presence needs --policy"),
        (("--policy", "loud"), "--policy: no policy 'loud'"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == 2 and said in err

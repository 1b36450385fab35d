"""`majlis install-service`: what it writes, prints and refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.cli import main, service


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["install-service", *arguments])
    out, err = capsys.readouterr()
    return ended.value.code if isinstance(ended.value.code, int) else 0, out, err


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "majlis.yaml"
    path.write_text("data_dir: /var/lib/shop\ningress: {listen: '0.0.0.0:8099'}\n")
    return path


def test_units_for_this_installation_are_written(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This environment's program, this config file, that user; the commands that follow are printed."""
    status, _, err = run(capsys, "-c", str(config), "--user", "shop", "--output", str(tmp_path / "out"))
    assert status == 0
    units = tmp_path / "out/etc/systemd/system"
    unit = (units / "majlis.service").read_text()
    assert f"ExecStart={Path(sys.executable).with_name('majlis')} run --config {config}\n" in unit
    assert "User=shop\n" in unit and "StateDirectory=shop\n" in unit
    assert "ListenStream=0.0.0.0:8099\n" in (units / "majlis.socket").read_text()
    assert "u shop -:shop" in (tmp_path / "out/etc/sysusers.d/majlis.conf").read_text()
    assert f"cp -rT {tmp_path / 'out'}/etc /etc" in err and "systemctl enable --now majlis.socket" in err
    assert "data_dir" not in err


def test_a_dry_run_writes_nothing(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out_dir = tmp_path / "out"
    status, out, _ = run(capsys, "-c", str(config), "--dry-run", "--output", str(out_dir))
    assert status == 0 and not out_dir.exists()
    assert f"# --- {out_dir}/etc/systemd/system/majlis.socket\n" in out and "[Socket]" in out


def test_json_contains_files_and_commands(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "-c", str(config), "--dry-run", "--json")
    document = json.loads(out)
    assert status == 0 and document["written"] is False
    assert (
        "etc/systemd/system/majlis@.service" in document["files"]
        and "systemctl daemon-reload" in document["commands"]
    )


def test_without_a_settings_file_the_defaults_are_used_and_the_next_steps_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "etc" / "config.yaml"
    status, _, err = run(capsys, "-c", str(config), "--output", str(tmp_path / "out"))
    assert status == 0
    assert f"install -m 0640 -g majlis config.yaml {config}" in err
    assert "put `data_dir: /var/lib/majlis` into" in err


def test_without_write_permission_the_error_says_what_to_do(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(files: Mapping[str, str], root: Path) -> None:
        if root == Path("/"):
            raise PermissionError(13, "Permission denied", "/etc/systemd/system/majlis.service")

    monkeypatch.setattr(service, "write", refuse)
    monkeypatch.setattr(service, "check", lambda units: [])
    status, _, err = run(capsys, "-c", str(config))
    assert status == 1
    assert err == (
        "majlis: /etc/systemd/system/majlis.service cannot be written by this user: run this with sudo, or write the "
        "files elsewhere with --output DIR\n"
    )


def test_units_that_systemd_rejects_are_not_written(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "check", lambda units: ["majlis.service:7: no such thing"])
    status, _, err = run(capsys, "-c", str(config), "--output", str(tmp_path / "out"))
    assert status == 1 and "majlis: majlis.service:7: no such thing" in err
    assert not (tmp_path / "out").exists()


def test_wrong_settings_are_reported_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("batching: {window: 3}")
    status, _, err = run(capsys, "-c", str(config), "--output", str(tmp_path / "out"))
    assert status == 2 and "batching.window: unknown key" in err
    assert not (tmp_path / "out").exists()

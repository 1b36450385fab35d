"""The unit files: rendered for an installation, accepted by systemd, and hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config import Settings
from daemon.service import UnfitInstallation, check, installation, render, write
from daemon.service.render import STANDARD
from daemon.stores import embedded_postgres, embedded_redis
from tests.acceptance.settings import ROOT

MAX_EXPOSURE = 1.5
SERVICES = ("majlis.service", "majlis@.service")
HERE = replace(STANDARD, program=Path("/bin/true"))
"""Where systemd checks that the program exists."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def units(tmp_path: Path) -> Path:
    write(render(HERE), tmp_path)
    return tmp_path / "etc/systemd/system"


def test_the_files_in_the_tree_are_the_rendered_ones() -> None:
    """If this fails, run `make units`."""
    for where, content in render(STANDARD).items():
        kind, name = Path(where).parts[1], Path(where).name
        shown = ROOT / "systemd" / (name if kind == "systemd" else f"{kind}-{name}")
        assert shown.read_text(encoding="utf-8") == content, f"{shown.name} is old: run `make units`"


def test_no_slot_is_left_unfilled() -> None:
    assert not [where for where, content in render(STANDARD).items() if re.search(r"@[A-Z_]+@", content)]


@needs_systemd
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    assert check(units(tmp_path)) == []


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "old", "new"),
    [
        ("majlis.service", "WatchdogSec=30", "WatchdogSec=often"),
        ("majlis.service", "ExecStart=/bin/true", "ExecStart=/nowhere/majlis"),
        ("majlis@.service", "ProtectClock=yes", "ProtectClocks=yes"),
        ("majlis.socket", "ListenStream=127.0.0.1:8080", "ListenStream=here"),
    ],
)
def test_systemd_finds_planted_errors(tmp_path: Path, unit: str, old: str, new: str) -> None:
    directory = units(tmp_path)
    text = (directory / unit).read_text()
    assert old in text
    (directory / unit).write_text(text.replace(old, new))
    assert check(directory)


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES)
def test_the_units_are_hardened(tmp_path: Path, unit: str) -> None:
    """`systemd-analyze security` gives 1.5 or less, for either unit, wherever the program is."""
    for place in (HERE, replace(HERE, needed=(Path("/home/majlis/venv"),), data_dir=Path("/srv/majlis"))):
        write(render(place), tmp_path)
        path = tmp_path / "etc/systemd/system" / unit
        done = subprocess.run(
            ["systemd-analyze", "security", "--no-pager", "--offline=true", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout + done.stderr
        assert float(found[1]) <= MAX_EXPOSURE


def test_a_program_in_a_home_directory_is_visible_to_the_service() -> None:
    needed = (Path("/home/shop/majlis/.venv"), Path("/home/shop/majlis"), Path("/usr"))
    unit = render(replace(STANDARD, needed=needed))["etc/systemd/system/majlis.service"]
    assert "ProtectHome=tmpfs\nBindReadOnlyPaths=/home/shop/majlis\n" in unit
    assert "ProtectHome=yes" in render(STANDARD)["etc/systemd/system/majlis.service"]


def test_settings_in_a_home_directory_are_visible_to_the_service() -> None:
    """If they were hidden, the service would not start."""
    unit = render(replace(STANDARD, config=Path("/root/majlis/config.yaml")))[
        "etc/systemd/system/majlis.service"
    ]
    assert "ProtectHome=tmpfs\nBindReadOnlyPaths=/root/majlis\n" in unit


@pytest.mark.parametrize("data_dir", ["/tmp/majlis", "/home/shop/data", "/root/majlis"])
def test_a_data_dir_hidden_from_the_service_is_refused(data_dir: str) -> None:
    """In a private /tmp, data would be removed at every stop, acknowledged messages included."""
    settings = Settings().model_copy(update={"data_dir": Path(data_dir)})
    with pytest.raises(UnfitInstallation, match="set data_dir to another directory, such as /var/lib/majlis"):
        installation(settings, Path("/etc/majlis/config.yaml"), "majlis")


def test_another_data_dir_is_made_writable() -> None:
    place = replace(STANDARD, data_dir=Path("/srv/shop"), data_dir_is_configured=True)
    unit = render(place)["etc/systemd/system/majlis.service"]
    assert (
        "ReadWritePaths=/srv/shop\n" in unit
        and "StateDirectory" not in unit
        and "MAJLIS_DATA_DIR" not in unit
    )


@pytest.mark.parametrize(
    ("listen", "written"),
    [("0.0.0.0:80", "0.0.0.0:80"), ("[::1]:8080", "[::1]:8080"), ("*:8080", "[::]:8080")],
)
def test_the_socket_listens_where_the_settings_say(listen: str, written: str) -> None:
    assert (
        f"ListenStream={written}\n"
        in render(replace(STANDARD, listen=listen))["etc/systemd/system/majlis.socket"]
    )


@pytest.mark.parametrize("listen", ["localhost:8080", "127.0.0.1:0"])
def test_an_address_that_a_socket_unit_cannot_have_is_refused(listen: str) -> None:
    settings = Settings().model_copy(
        update={"ingress": Settings().ingress.model_copy(update={"listen": listen})}
    )
    with pytest.raises(UnfitInstallation, match="needs a numeric address and a port"):
        installation(settings, Path("/etc/majlis/config.yaml"), "majlis")


@pytest.mark.parametrize("user", ["", "Root User", "a\nExecStart=/bin/sh"])
def test_an_invalid_user_name_is_refused(user: str) -> None:
    with pytest.raises(UnfitInstallation, match="not a valid user name"):
        installation(Settings(), Path("/etc/majlis/config.yaml"), user)


def test_a_path_that_would_break_a_unit_is_refused() -> None:
    with pytest.raises(UnfitInstallation, match="characters that unit files do not allow"):
        installation(Settings(), Path("/etc/my settings/config.yaml"), "majlis")


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_bounded_with_room_and_leaves_no_core_file(unit: str) -> None:
    """Three times what the embedded Redis may take, which is copied while it rewrites; all Postgres processes."""
    text = render(STANDARD)[f"etc/systemd/system/{unit}"]
    bound = re.search(r"^MemoryMax=(\d+)G$", text, re.MULTILINE)
    redis = re.fullmatch(r"(\d+)gb", embedded_redis.SETTINGS["maxmemory"])
    assert bound and redis and int(bound[1]) >= 3 * int(redis[1])
    tasks = re.search(r"^TasksMax=(\d+)$", text, re.MULTILINE)
    assert tasks and int(tasks[1]) >= 4 * int(embedded_postgres._FIRST_SETTINGS["max_connections"])
    assert "\nLimitCORE=0\n" in text and "\nUMask=0077\n" in text

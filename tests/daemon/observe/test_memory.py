"""How full the memory is, read from a tree of files as the kernel would show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.observe.memory import used_share


def tree(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n"}
GROUP = {
    "proc/self/cgroup": "4:memory:/old\n0::/system.slice/majlis.service\n",
    "sys/fs/cgroup/system.slice/majlis.service/memory.max": "1000\n",
    "sys/fs/cgroup/system.slice/majlis.service/memory.current": "900\n",
    "sys/fs/cgroup/system.slice/majlis.service/memory.stat": "anon 700\ninactive_file 100\n",
}


def test_of_the_machine(tmp_path: Path) -> None:
    assert used_share(tree(tmp_path, MACHINE)) == pytest.approx(0.6)


def test_of_the_control_group(tmp_path: Path) -> None:
    """What the kernel would give back does not count; the tighter bound does."""
    assert used_share(tree(tmp_path, MACHINE | GROUP)) == pytest.approx(0.8)


def test_a_bound_of_a_group_above_counts(tmp_path: Path) -> None:
    above = {
        "sys/fs/cgroup/system.slice/memory.max": "100\n",
        "sys/fs/cgroup/system.slice/memory.current": "95\n",
        "sys/fs/cgroup/system.slice/majlis.service/memory.max": "max\n",
    }
    assert used_share(tree(tmp_path, MACHINE | GROUP | above)) == pytest.approx(0.95)


def test_nothing_is_known(tmp_path: Path) -> None:
    assert used_share(tmp_path) is None


def test_of_this_machine() -> None:
    share = used_share()
    assert share is None or 0.0 < share < 1.0

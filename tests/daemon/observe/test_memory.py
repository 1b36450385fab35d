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


def test_memory_of_the_machine_is_read(tmp_path: Path) -> None:
    assert used_share(tree(tmp_path, MACHINE)) == pytest.approx(0.6)


def test_memory_of_the_control_group_is_read(tmp_path: Path) -> None:
    """Memory that the kernel can reclaim does not count; the tighter bound does."""
    assert used_share(tree(tmp_path, MACHINE | GROUP)) == pytest.approx(0.8)


def test_the_bound_of_a_parent_group_counts(tmp_path: Path) -> None:
    above = {
        "sys/fs/cgroup/system.slice/memory.max": "100\n",
        "sys/fs/cgroup/system.slice/memory.current": "95\n",
        "sys/fs/cgroup/system.slice/majlis.service/memory.max": "max\n",
    }
    assert used_share(tree(tmp_path, MACHINE | GROUP | above)) == pytest.approx(0.95)


def test_without_files_the_share_is_unknown(tmp_path: Path) -> None:
    assert used_share(tmp_path) is None


def test_this_machine_reports_a_share() -> None:
    share = used_share()
    assert share is None or 0.0 < share < 1.0

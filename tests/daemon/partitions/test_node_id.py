"""A daemon keeps its name over a restart, and two data directories never share one."""

from __future__ import annotations

from pathlib import Path

from daemon.partitions.node_id import node_id_in


def test_the_name_survives_a_restart(tmp_path: Path) -> None:
    first = node_id_in(tmp_path)
    assert first and node_id_in(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["node_id"]


def test_another_directory_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert node_id_in(tmp_path / "a") != node_id_in(tmp_path / "b")


def test_a_name_that_was_cut_short_is_not_taken(tmp_path: Path) -> None:
    """Killed while it was written for the first time."""
    (tmp_path / "node_id.new").write_text("0")
    assert len(node_id_in(tmp_path)) == 16

"""How full the memory is that this process may use: its control group's or the machine's, whichever is tighter."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")


def used_share(root: Path = _ROOT) -> float | None:
    """0 to 1; None where the kernel does not report it. Caches that the kernel frees on demand do not count."""
    found = [share for share in (_group_share(root), _machine_share(root)) if share is not None]
    return max(found, default=None)


def _machine_share(root: Path) -> float | None:
    facts = _facts(root / "proc/meminfo", ":")
    total, available = facts.get("MemTotal", 0), facts.get("MemAvailable")
    return 1 - available / total if total and available is not None else None


def _group_share(root: Path) -> float | None:
    """Of the nearest group with a bound (cgroup v2): a service manager or a container may have set one."""
    place = next(
        (line[3:] for line in _text(root / "proc/self/cgroup").splitlines() if line[:3] == "0::"), ""
    )
    group = root / "sys/fs/cgroup" / place.strip("/")
    shares = [_share_of(each) for each in (group, *group.parents) if "cgroup" in each.parts]
    return max((share for share in shares if share is not None), default=None)


def _share_of(group: Path) -> float | None:
    limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
    if not (limit.isdigit() and used.isdigit() and int(limit)):
        return None
    reclaimable = _facts(group / "memory.stat", " ").get("inactive_file", 0)
    return max(0, int(used) - reclaimable) / int(limit)


def _facts(path: Path, separator: str) -> dict[str, int]:
    rows = (line.partition(separator) for line in _text(path).splitlines())
    return {name: int(words[0]) for name, _, rest in rows if (words := rest.split()) and words[0].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""

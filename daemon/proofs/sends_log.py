"""`data_dir/sends.log`: which claims have begun to leave, and facts that neither store could take.

Appended to, never flushed to the disk: it survives a kill, not a power cut. One `write` a line:

    claim <token> <boot id>         before the claim: nothing of its send has left
    start <token>                   before the first byte
    sent <token> <turn>.<part> <message id as JSON>
    unsent <token> <turn>.<part> <reason as JSON>
    settled <token>                 the ledger has it

A claim without a start proves that nothing left, but only under the boot it was written in: a power cut may have taken
the start and left the claim. So a start that cannot be written is worse than no log: then the log is emptied, which
works on a full disk, and if that fails too, the send must not begin. Whatever else is wrong with the file, it proves
nothing and stops nobody.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from actors.errors import LeaseUncertain
from actors.outcome import NotSent, Sent
from actors.send_facts import Proof

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MAX_BYTES = 1 << 20
"""The file is written anew beyond it, with what is still open."""
MAX_CLAIMS = 10_000
"""So many open claims are remembered; about older ones nothing is known."""
_TORN = b"!\n"
"""Ends what a failed write may have left, so that it is no line of ours."""

_Stage = Literal["claimed", "started", "unsent"]


def boot_id() -> str:
    """Of the running kernel; empty where it cannot be known: then a claim proves nothing later."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class SendsLog:
    """Every method is synchronous, costs one `write` at most, and raises only where that is said."""

    def __init__(self, path: Path, boot: str) -> None:
        """Read what a former process left at `path`; `boot` is the id of the running boot."""
        self._path = path
        self._boot = boot
        self._claims: dict[str, _Stage] = {}
        self._proofs: dict[str, Proof] = {}
        self._in_file: set[str] = set()
        """Tokens of whose lines the file may hold one."""
        self._torn = False
        self._size = 0
        with suppress(OSError):
            if path.is_file() and path.stat().st_size <= 16 * MAX_BYTES:
                self._read(path.read_bytes())
        self._fd = self._open()
        self._rewrite()

    def claim(self, token: str) -> None:
        """A claim under `token` follows."""
        self._claims[token] = "claimed"
        while len(self._claims) > MAX_CLAIMS:
            self._claims.pop(next(iter(self._claims)))
        if self._boot and (self._write(_claim(token, self._boot)) or self._torn):
            self._in_file.add(token)

    def start(self, token: str) -> None:
        """The first byte of this send is about to leave.

        Raises:
          LeaseUncertain: it must not.
        """
        if self._claims.get(token) not in ("claimed", "started"):
            raise LeaseUncertain("claim_is_over")
        if token in self._in_file and not self._write(f"start {token}") and not self._empty():
            raise LeaseUncertain("sends_log_stuck")
        self._claims[token] = "started"

    def nothing_left(self, token: str) -> bool:
        """Whether nothing of this send has left. If so, nothing ever will."""
        if self._claims.get(token) not in ("claimed", "unsent"):
            return False
        self._claims[token] = "unsent"
        return True

    def keep(self, proof: Proof) -> bool:
        """Write a fact down; returns whether it is there."""
        self._proofs[proof.token] = proof
        written = self._write(_line(proof))
        if written:
            self._in_file.add(proof.token)
        return written

    def proof(self, token: str) -> Proof | None:
        return self._proofs.get(token)

    def proofs(self) -> tuple[Proof, ...]:
        return tuple(self._proofs.values())

    def forget(self, token: str) -> None:
        """The ledger has it."""
        self._claims.pop(token, None)
        self._proofs.pop(token, None)
        if token in self._in_file:
            self._in_file.discard(token)
            self._write(f"settled {token}")
            if self._size > MAX_BYTES:
                self._rewrite()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # Reading

    def _read(self, content: bytes) -> None:
        *lines, _torn = content.split(b"\n")
        for line in lines:
            with suppress(ValueError):  # garbage proves nothing
                self._read_line(line.decode())
        # What has started may have left: only what has not is evidence.
        self._claims = {token: stage for token, stage in self._claims.items() if stage == "claimed"}
        for token in list(self._claims)[:-MAX_CLAIMS]:
            del self._claims[token]

    def _read_line(self, line: str) -> None:
        kind, token, *rest = line.split(" ", 3)
        match kind, rest:
            case "claim", [boot]:
                if boot == self._boot != "":
                    self._claims[token] = "claimed"
            case "start", []:
                self._claims[token] = "started"
            case (("sent" | "unsent"), [place, said]):
                turn, part = (int(number) for number in place.split("."))
                word = str(json.loads(said))
                outcome = Sent(word) if kind == "sent" else NotSent(word, "hold")
                if 0 < turn < 1 << 63 and 0 <= part < 1 << 31:
                    self._proofs[token] = Proof(turn, part, token, outcome)
            case "settled", []:
                self._claims.pop(token, None)
                self._proofs.pop(token, None)
            case _:
                pass

    # Writing

    def _open(self) -> int | None:
        try:
            fd = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600
            )
        except OSError:
            return None
        with suppress(OSError):
            self._size = os.fstat(fd).st_size
        # What a former process left behind its last newline must not become the head of our first line.
        self._torn = self._size > 0
        return fd

    def _write(self, line: str) -> bool:
        if self._fd is None:
            return False
        data = (_TORN if self._torn else b"") + line.encode() + b"\n"
        try:
            whole = os.write(self._fd, data) == len(data)
        except OSError:
            whole = False
        if whole:
            self._torn = False
            self._size += len(data)
            return True
        self._torn = True
        with suppress(OSError):
            os.ftruncate(self._fd, self._size)
            self._torn = False
        return False

    def _empty(self) -> bool:
        """Make the file prove nothing. What else it holds is written again, as far as there is room."""
        if self._fd is None:
            return not self._in_file
        try:
            os.ftruncate(self._fd, 0)
        except OSError:
            return False
        self._size, self._torn = 0, False
        self._in_file.clear()
        for proof in self.proofs():
            self.keep(proof)
        return True

    def _rewrite(self) -> None:
        """Replace the file by one that holds only what is open."""
        if self._fd is None:
            return
        lines = [_claim(token, self._boot) for token, stage in self._claims.items() if stage == "claimed"]
        tokens = {token for token, stage in self._claims.items() if stage == "claimed"} | self._proofs.keys()
        lines += map(_line, self._proofs.values())
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            beside.chmod(0o600)
            beside.replace(self._path)
        except OSError:
            self._empty()
            return
        os.close(self._fd)
        self._fd = self._open()
        self._torn = False
        self._in_file = tokens


def _claim(token: str, boot: str) -> str:
    return f"claim {token} {boot}"


def _line(proof: Proof) -> str:
    outcome = proof.outcome
    kind, word = ("sent", outcome.message_id) if isinstance(outcome, Sent) else ("unsent", outcome.reason)
    return f"{kind} {proof.token} {proof.turn_id}.{proof.part} {json.dumps(word)}"

"""Reads a file in a child process with limits, because nobody knows what is in it.

A PDF of a few kilobytes can ask for gigabytes of memory or hours of time, and a library for PDF can crash. Whatever
happens in the child, the caller gets a file or a sentence, within `LIMITS`. Only regular files are opened.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from daemon.knowledge.readers import ReadFile, UnreadableFile, parse

MAX_BYTES = 20 * 1024 * 1024
_OUT_OF_MEMORY = 3


class ReadingLimits(msgspec.Struct, frozen=True):
    """What one file may cost."""

    memory_bytes: int = 1024 * 1024 * 1024
    """Of address space, Python's own included."""
    cpu_seconds: int = 60
    wall_seconds: float = 180.0
    output_bytes: int = 64 * 1024 * 1024


LIMITS = ReadingLimits()


class _Outcome(msgspec.Struct):
    file: ReadFile | None = None
    problem: str = ""


def read(path: Path, limits: ReadingLimits = LIMITS) -> ReadFile:
    """Read a file and cut its text into chunks, in a child process that has ended when this returns.

    Raises:
      UnreadableFile: it does not exist, is too large, has an unsupported type, contains no text, or costs too much.
    """
    descriptor = _opened(path)
    try:
        with tempfile.TemporaryFile() as said:
            code = _run(path.name, descriptor, said.fileno(), limits)
            said.seek(0)
            answer = said.read()
    finally:
        os.close(descriptor)
    if code != 0:
        raise _failure(code, limits)
    outcome = msgspec.json.decode(answer, type=_Outcome)
    if outcome.file is None:
        raise UnreadableFile(outcome.problem)
    return outcome.file


def _opened(path: Path) -> int:
    """The file, open. Opening waits for nothing: a named pipe without a writer would hold it for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise UnreadableFile(f"cannot be read ({error.strerror}): check its name and permissions") from None
    found = os.fstat(descriptor)
    problem = ""
    if stat.S_ISDIR(found.st_mode):
        problem = "is a directory: name the files in it"
    elif not stat.S_ISREG(found.st_mode):
        problem = "is not a regular file: save what it delivers in a file, then add that"
    elif found.st_size > MAX_BYTES:
        problem = f"is larger than {MAX_BYTES // 1024 // 1024} MiB: split it"
    if problem:
        os.close(descriptor)
        raise UnreadableFile(problem)
    return descriptor


def _run(name: str, source: int, target: int, limits: ReadingLimits) -> int:
    """How the child ended: 0, or what `_failure` knows."""
    # -P: a folder called `daemon` where the command runs is not ours.
    command = [
        sys.executable,
        "-P",
        "-m",
        "daemon.knowledge.reading",
        name,
        msgspec.json.encode(limits).decode(),
    ]
    with subprocess.Popen(command, stdin=source, stdout=target, stderr=subprocess.DEVNULL) as child:
        try:
            return child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGXCPU
        finally:
            child.kill()  # also when this process is interrupted; harmless when it has ended


def _failure(code: int, limits: ReadingLimits) -> UnreadableFile:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return UnreadableFile(
            f"takes longer than {limits.cpu_seconds} s to read: split it, or save it as text"
        )
    if code == -signal.SIGXFSZ:
        return UnreadableFile("contains more text than can be added: split it")
    if code > 0 and code != _OUT_OF_MEMORY:
        return UnreadableFile(f"makes its reader fail (status {code}): save it as PDF again, or as text")
    mib = limits.memory_bytes // 1024 // 1024  # what is written in C dies of a signal when memory is refused
    return UnreadableFile(f"cannot be read within {mib} MiB of memory: split it, or save it as text")


def _limit(limits: ReadingLimits) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it


def _main(name: str, limits: str) -> None:
    _limit(msgspec.json.decode(limits, type=ReadingLimits))
    try:
        with open(0, "rb", closefd=False) as source:
            content = source.read(MAX_BYTES + 1)
        outcome = _Outcome(file=parse(name, content[:MAX_BYTES]))
    except UnreadableFile as error:
        outcome = _Outcome(problem=str(error))
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)  # there is no memory left for another exception
    with open(1, "wb", closefd=False) as target:
        target.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    _main(*sys.argv[1:])

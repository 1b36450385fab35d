"""Why the daemon stops: the signal, or who asked for it."""

from __future__ import annotations

import msgspec
import trio


class StopCause(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: a signal, whose sender is not known, or a command."""

    signal: str = ""
    """`SIGTERM`: a service manager or a person; `SIGINT`: Ctrl-C; `SIGHUP`: the terminal was closed."""
    uid: int | None = None
    """Of who asked through the admin socket; with the pid of the command."""
    pid: int | None = None
    origin: str = ""
    """The door that a command came through, where it was not the admin socket; with the session there."""
    session: str = ""

    @property
    def words(self) -> str:
        """For a status line."""
        if self.signal:
            return self.signal
        who = f"session {self.session} of {self.origin}" if self.origin else f"uid {self.uid}, pid {self.pid}"
        return f"asked for by {who}"

    @property
    def fields(self) -> dict[str, object]:
        """For an event."""
        said = {
            name: value for name, value in msgspec.structs.asdict(self).items() if value not in ("", None)
        }
        return {"why": "signal" if self.signal else "command", **said}


class Stop:
    """The daemon's end: asked for once, for the cause that came first."""

    def __init__(self) -> None:
        self._asked = trio.Event()
        self._cause: StopCause | None = None

    @property
    def cause(self) -> StopCause | None:
        """None: the daemon does not stop."""
        return self._cause

    def ask(self, cause: StopCause) -> None:
        if self._cause is None:
            self._cause = cause
            self._asked.set()

    async def wait(self) -> StopCause:
        """Until somebody asks."""
        await self._asked.wait()
        assert self._cause is not None
        return self._cause

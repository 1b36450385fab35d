"""Why a realtime connection ends: close codes of the WebSocket, each with a stable word."""

from __future__ import annotations

from typing import NamedTuple

from trio_websocket import CloseReason


class Ending(NamedTuple):
    """Why a connection ends: the close code of the WebSocket and a stable word."""

    code: int
    reason: str


GOODBYE = Ending(1000, "closed_by_client")
GOING_AWAY = Ending(1001, "going_away")
LOST = Ending(1006, "connection_lost")
TOO_BIG = Ending(1009, "frame_too_big")
FAILED = Ending(1011, "failed")
BAD_FRAME = Ending(4400, "bad_frame")
UNAUTHORIZED = Ending(4401, "wrong_or_missing_token")
FORBIDDEN = Ending(4403, "not_allowed")
SILENT = Ending(4408, "no_pong")
IDLE = Ending(4408, "idle")
TOO_SLOW = Ending(4413, "too_slow")


def how_ended(reason: CloseReason | None) -> Ending:
    """How the other side, or the WebSocket itself, ended the connection."""
    code = reason.code if reason is not None else LOST.code
    if code in (1000, 1001, 1005):
        return GOODBYE
    return TOO_BIG if code == TOO_BIG.code else LOST

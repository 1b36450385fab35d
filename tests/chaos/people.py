"""People who write, and people of the business who now and then answer by hand."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from tests.chaos.checker import Kind
from tests.chaos.kinds import PARTS
from tests.chaos.webhooks import RETRY_SECONDS, Webhooks
from tests.support.patience import PATIENCE_SECONDS

PAUSE_SECONDS = 0.5
BY_HAND = 0.6
"""Of the guests, so many are answered by a person of the business."""
OTHERWISE = 0.2
KINDS: tuple[Kind, ...] = ("edit", "edit", "deletion", "reaction", "album", "old")
NEXT_SECOND = 1.05
"""Messages bear whole seconds: what is written then is later than what was written before."""


class People:
    """Regulars write on and on, each the next message when the last one was acknowledged or given up; guests write once
    or twice, under a number of their own. A thread for each regular, and for each desk that serves guests.
    """

    def __init__(self, webhooks: Webhooks, seed: int, regulars: int, desks: int) -> None:
        self._webhooks = webhooks
        self._seed = seed % 10_000
        self._stop = threading.Event()
        places: list[tuple[Callable[[int, random.Random], None], int]] = [
            *((self._write_on, number) for number in range(regulars)),
            *((self._serve, number) for number in range(desks)),
        ]
        self._threads = [
            threading.Thread(
                target=what, args=(number, random.Random(f"{seed}/{what.__name__}/{number}")), daemon=True
            )
            for what, number in places
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Every message that somebody began is acknowledged or given up when this returns."""
        self._stop.set()
        for thread in self._threads:
            thread.join(RETRY_SECONDS + PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _write_on(self, number: int, dice: random.Random) -> None:
        phone, count = f"5511{self._seed:04d}{number:04d}", 0
        while not self._stop.is_set():
            count += 1
            said = self._webhooks.bring(phone, f"{phone}-{count}", dice)
            if dice.random() < OTHERWISE:
                self._go_on(phone, f"{phone}-{count}", said, dice)
            self._stop.wait(PAUSE_SECONDS * 2 * dice.random())

    def _go_on(self, phone: str, text: str, said: str, dice: random.Random) -> None:
        """Something else than the next message, in the same window or after it."""
        kind = dice.choice(KINDS)
        if dice.random() < 0.5:
            self._stop.wait(2 * PAUSE_SECONDS)
        if kind == "album":
            album = self._webhooks.bring(phone, f"{text}-album", dice, kind="album")
            for number in range(PARTS - (dice.random() < 0.3)):  # of some a part never comes
                self._webhooks.bring(phone, f"{text}-part{number}", dice, kind="part", of=album)
        else:
            self._webhooks.bring(phone, f"{text}-{kind}", dice, kind=kind, of=said)

    def _serve(self, desk: int, dice: random.Random) -> None:
        guest = 0
        while not self._stop.is_set():
            guest += 1
            phone = f"55{21 + desk}{self._seed:04d}{guest:04d}"
            self._webhooks.bring(phone, f"{phone}-1", dice)
            if dice.random() < BY_HAND:
                time.sleep(NEXT_SECOND)
                self._webhooks.bring(phone, f"{phone}-by-hand", dice, from_me=True)
            if dice.random() < 0.5:
                self._stop.wait(2 * dice.random())
                self._webhooks.bring(phone, f"{phone}-2", dice)
            self._stop.wait(PAUSE_SECONDS * 2 * dice.random())

"""Plays a field case against a real daemon: webhooks in, replies and the model's questions out.

A case is a mapping in one of the YAML files of this folder:

    name: a second yes answers another question
    instance: shop                   # shop: the rehearsal answers | ai: a model | desk: escalation is on | …
    steps:
      - says: نعم                    # the customer; or a mapping, see `_message`
      - talk: [blue, red]            # the customer, so many `times` in turn, each answered by itself
        times: 4
      - close                        # the window closes, and everything that waits has its end
      - business: I will call you    # a person of the business, from the phone
      - program: Your order left     # other software, through the gateway
      - event: messages.delete       # any other webhook, with its `data`
        data: {id: "{first}"}
      - model: It costs 90 SAR.      # the model's answers from here on, where what it is asked has {T}; or a message
      - majlis: [resume, "{where}"]
    expect: {replies: 2, contains: [], lacks: [], told: [], not_told: [], acks: [], rules: [], numbers: []}

In texts {C} is the customer's number, {L} a LID, {T} a word that only this case has, {where} the conversation,
{now_ms} the time, {words} three hundred words, {families} a hundred and fifty emoji of seven characters, and {name} the
id of the message with that `id`. Times are `at: -5`, seconds from the case's
beginning; a message without one is of this moment.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from daemon.web.client import HttpFailed, unix_get, unix_post
from tests.acceptance.harness import DaemonUnderTest, Posted
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI

_NAMED = re.compile(r"\{(\w+)\}")
_numbers = itertools.count(1)
OUR_JID = "966500000999@s.whatsapp.net"
"""Of every instance here."""


@dataclass
class Case:
    """One case, and what came of it."""

    name: str
    steps: list[Any]
    expect: Mapping[str, Any]
    instance: str = "shop"
    contact: str = ""
    """Empty: a number of its own."""
    words: dict[str, str] = field(default_factory=dict)
    acks: list[Posted] = field(default_factory=list)

    def __post_init__(self) -> None:
        number = next(_numbers)
        self.contact = self.contact or f"9665{number:08d}"
        self.words = {
            "C": self.contact,
            "L": f"7{number:013d}",
            "T": f"case{number:04d}",
            "where": f"{self.instance}/{self.contact}",
            "now_ms": str(int(time.time() * 1000)),
            "words": " ".join(f"w{number:04d}" for number in range(300)),
            "families": "👨\u200d👩\u200d👧\u200d👦" * 150,
        }

    @property
    def tag(self) -> str:
        return self.words["T"]


def cases() -> Iterator[Case]:
    """Every case of this folder."""
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        for each in yaml.safe_load(path.read_text()):
            yield Case(**each)


class Play:
    """One case on its way."""

    def __init__(self, case: Case, daemon: DaemonUnderTest, model: FakeModelAnswers) -> None:
        self._case = case
        self._daemon = daemon
        self._model = model
        self._serial = itertools.count(1)
        self._began = int(time.time())

    def run(self) -> None:
        for step in self._case.steps:
            self._step({step: True} if isinstance(step, str) else step)
        self._close()

    def _step(self, step: Mapping[str, Any]) -> None:
        match next(iter(step)):
            case "says":
                self._post("messages.upsert", self._message(step["says"]), step.get("times", 1))
            case "talk":  # one after another, each answered before the next one
                for number, text in zip(range(step["times"]), itertools.cycle(step["talk"]), strict=False):
                    self._post("messages.upsert", self._message(text.replace("{n}", str(number))))
                    self._close()
            case "business":
                self._post("messages.upsert", self._message(step["business"], own=True))
            case "program":
                self._post("send.message", {**self._message(step["program"], own=True), "status": "PENDING"})
            case "event":
                self._post(step["event"], _filled(self._case.words, step["data"]))
            case "body":
                self._send(_filled(self._case.words, step["body"]))
            case "model":
                self._model.say(self._case.tag, _filled(self._case.words, step["model"]))
            case "majlis":
                done = self._daemon.majlis(*_filled(self._case.words, step["majlis"]))
                assert done.returncode == 0, done.stderr
            case "next_second":  # the gateway's times are whole seconds
                time.sleep(1.05 - time.time() % 1)
            case "close":
                self._close()
            case other:
                raise AssertionError(f"no such step: {other}")

    def _message(self, said: str | Mapping[str, Any], own: bool = False) -> dict[str, Any]:
        """As the gateway writes one: `text`, or `message` and `type`; also `id`, `at`, `name`, `key`, other fields."""
        asked: dict[str, Any] = {"text": said} if isinstance(said, str) else dict(said)
        name = asked.pop("id", f"m{next(self._serial)}")
        words = self._case.words
        words.setdefault(name, f"{'3EB0' if own else '3A'}{self._case.tag}{name}".upper())
        text, message = asked.pop("text", ""), asked.pop("message", None)
        kind = asked.pop("type", None) or (next(iter(message)) if message else "conversation")
        key = {
            "remoteJid": f"{self._case.contact}@s.whatsapp.net",
            "fromMe": own,
            "id": words[name],
            "participant": "",
            **asked.pop("key", {}),
        }
        filled: dict[str, Any] = _filled(
            self._case.words,
            {
                "key": key,
                "pushName": asked.pop("name", "Huda"),
                "status": "SERVER_ACK" if own else "DELIVERY_ACK",
                "message": message
                or {"messageContextInfo": {"deviceListMetadataVersion": 2}, "conversation": text},
                "messageType": kind,
                "messageTimestamp": self._began + asked.pop("at") if "at" in asked else int(time.time()),
                "source": "android",
                "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
                **asked,
            },
        )
        return filled

    def _post(self, event: str, data: object, times: int = 1) -> None:
        body = {
            "event": event,
            "instance": self._case.instance,
            "data": data,
            "destination": "http://127.0.0.1:8080/webhook",
            "date_time": "2026-07-26T18:13:30.262Z",
            "sender": OUR_JID,
            "server_url": "http://localhost:8080",
            "apikey": None,
        }
        for _ in range(times):
            self._send(body)

    def _send(self, body: object) -> None:
        sent = json.dumps(body).encode()
        self._case.acks.append(self._daemon.request("POST", f"/webhook/{self._case.instance}", sent))

    def _close(self) -> None:
        """Everything that waits gets its end, also under the LID or the other form of the number."""
        words = self._case.words
        for contact in dict.fromkeys(
            (words["C"], f"{words['L']}@lid", *self._case.expect.get("addresses", ()))
        ):
            path = f"/v1/conversations/{self._case.instance}/{contact}"
            with suppress(HttpFailed):
                unix_post(self._socket, f"{path}/flush")
            self._daemon.wait_for(partial(self._is_idle, path), f"{self._case.name}: it has its end")

    def _is_idle(self, path: str) -> bool:
        with suppress(HttpFailed):
            status, shown = unix_get(self._socket, path)
            if status == 404:
                return True
            if status == 200 and isinstance(shown, dict):
                if shown["waiting"] and shown["state"] == "waiting":  # it came while the flush ran
                    unix_post(self._socket, f"{path}/flush")
                return not shown["waiting"] and shown["state"] in ("idle", "absent")
        return False

    @property
    def _socket(self) -> str:
        return str(self._daemon.data_dir / "run" / "admin.sock")


class FakeModelAnswers:
    """What the model says to each case; `OK` where nothing was ordered."""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}

    def say(self, tag: str, said: Any) -> None:
        """Args: said: a text, or a whole message."""
        self._said[tag] = said

    def __call__(self, asked: str) -> Any:
        return next((text for tag, text in self._said.items() if tag in asked), "OK")


def _filled(words: Mapping[str, str], value: Any) -> Any:
    """`value` with the names in its texts replaced."""
    if isinstance(value, str):
        return _NAMED.sub(lambda found: words.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: _filled(words, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(words, item) for item in value]
    return value


def faults(case: Case, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI) -> list[str]:
    """In what the case did not end as it should."""
    expect, words = dict(case.expect), case.words
    numbers = (words["C"], words["L"], *expect.pop("addresses", ()))
    with gateway.lock:
        mine = [
            sent
            for sent in gateway.deliveries
            if (sent.instance, sent.number) in {(case.instance, n) for n in numbers}
        ]
    got = "\n".join(sent.text for sent in mine)
    asked = [json.dumps(question.body, ensure_ascii=False) for question in list(model.questions)]
    told = "\n".join(body for body in asked if case.tag in body)
    ids = [
        value
        for name, value in words.items()
        if name not in ("C", "L", "T", "where", "now_ms", "words", "families")
    ]
    rows = daemon.rows(
        "SELECT rule, state FROM majlis_turns WHERE instance = $1 AND message_ids && $2 ORDER BY id",
        case.instance,
        ids,
    )
    ends = [row["rule"] or row["state"] for row in rows]
    found = {
        "replies": len(mine),
        "numbers": sorted({sent.number for sent in mine}),
        "acks": [(ack.document or {}).get("status") for ack in case.acks],
        "rules": ends,
    }
    wanted_of = _filled(words, expect)
    bad = [
        f"{name}: {found[name]}, not {wanted_of[name]}"
        for name in found
        if name in expect and found[name] != wanted_of[name]
    ]
    if "min_replies" in expect and len(mine) < expect["min_replies"]:
        bad.append(f"{len(mine)} replies, fewer than {expect['min_replies']}")
    for name, text, wanted in (
        ("contains", got, True),
        ("lacks", got, False),
        ("told", told, True),
        ("not_told", told, False),
    ):
        bad += [
            f"{name}: {each!r} in {text[-600:]!r}"
            for each in _filled(words, expect.get(name, []))
            if (each in text) != wanted
        ]
    unknown = set(expect) - {*found, "min_replies", "contains", "lacks", "told", "not_told"}
    return [*bad, *(f"no such expectation: {name}" for name in unknown)]

"""Work on foreign bytes is linear: every pattern, decoder and reader, found by a scan of the syntax trees.

A new pattern or reader is measured by itself. One that needs more arguments than a text needs a line in `ARGUMENTS`;
one that never sees what somebody else wrote needs a reason in `OWN`; a decoder needs the name of the reader that
brings it foreign bytes. Without that, the test fails and says so.
"""

from __future__ import annotations

import ast
import importlib
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from actors import contacts, modes, momentary, response_cache, told
from actors.instance import ContactTerms, ContextTerms, Terms
from actors.messages import Context
from actors.text import first_words
from daemon.controls import own_words
from daemon.forwarding import taking, token
from daemon.gateways import lenient
from daemon.gateways.evolution import amendments, message, parts, payload, placeholders, plain, trade
from daemon.ingress import inline_media, jwt
from daemon.knowledge import embeddings, readers, tables
from daemon.observe import logs
from daemon.operate.routes import ROUTES
from daemon.realtime import frames
from daemon.responders import batched, failures, loose_json, markdown
from daemon.responders import tables as answer_tables
from daemon.responders.dialect import Endpoint
from daemon.responders.extraction import extract
from daemon.responders.letters import may_say
from daemon.responders.openai import OpenAi
from daemon.web import answer, bounded, standard_webhooks
from daemon.web.http1 import head
from daemon.web.http1.chunked import ChunkedBody
from daemon.web.http1.incoming import IncomingBody
from daemon.web.outgoing.response import Garbled, ResponseReader
from tests.support.linear import (
    ROOT,
    Subject,
    decoders_in,
    faults,
    methods_used,
    modules,
    pattern_subject,
    patterns_in,
    reader_subject,
    readers_in,
)

CPU_SECONDS = 90
"""Ends a measurement that will not end by itself; a tenth of it is usual."""

OWN_ROOMS = {
    "daemon.config": "settings are the operator's own words",
    "daemon.schema": "settings are the operator's own words",
    "daemon.service": "unit files are made from settings",
    "daemon.run": "starts and wires; reads nothing",
    "daemon.simulate": "reads the traffic that it made itself, or the operator's own file, in a process of its own",
    "daemon.stores": "talks to our own Redis and Postgres",
    "daemon.proofs": "reads what our own encoder wrote",
    "daemon.ledger": "reads what our own encoder wrote, and our own SQL files",
    "daemon.mirror": "reads what our own encoder wrote",
    "daemon.tenants": "what is set is the operator's own words, bounded, or rows of the business' own software",
    "daemon.cli": "reads the answers of our own daemon, in a process of its own",
}
OWN = {
    "actors.escalation.told_reason": "the names are the operator's own",
    "actors.escalation.reason_told": "the names are the operator's own, the text is our row's",
    "actors.sense.patterns._BRACES": "our own lists",
    "actors.sense.patterns.word_class": "our own lists",
    "actors.notices.limit_reached": "its words are ours",
    "actors.notices.limit_near": "its words are ours",
    "actors.notices.answer_cut": "its words are ours: a provider's name and its model, as the answer has them",
    "daemon.operate.connect_checks.written_address": "an operator's word, of level admin, and at most one request's",
    "daemon.operate.letters.happened": "looks a word up",
    "actors.notices.too_old": "its words are ours",
    "actors.notices.alert": "its words are ours",
    "actors.notices.busy": "its words are ours",
    "actors.notices.machine": "its words are ours",
    "daemon.observe.alert_rules.rule": "makes a rule of ours",
    "daemon.operate.checks.broken": "its words are ours",
    "daemon.operate.levels.gid_of": "a group of the settings",
    "daemon.operate.store_checks.embedded_check": "the name of a store",
    "daemon.operate.openapi.\\W+": "our own routes",
    "daemon.operate.openapi._PIECE": "our own routes",
    "daemon.operate.task_tree.<locals>\\.?": "the names of our own functions",
    "daemon.ingress.inbound.no_webhooks": "refuses without reading",
    "daemon.web.client.unix_get": "asks our own daemon",
    "daemon.web.client.unix_post": "asks our own daemon",
    "daemon.web.client.unix_lines": "asks our own daemon",
    "daemon.web.outgoing.request.written": "what we ask ourselves",
    "daemon.forwarding.attempt.address": "the operator's own address",
    "daemon.ingress.jwt.made": "the operator's own key",
    "daemon.forwarding.token.with_values": "copies pieces between places that were found before",
    "daemon.responders.openai_address.address_of": "settings are the operator's own words",
    "daemon.knowledge.reading.read": "what our own child process wrote, bounded by its limits",
    "daemon.knowledge.reading._main": "what our own parent process wrote",
}
"""By module and name: what sees nothing foreign, or in a child process alone."""

MATCHED = {
    "daemon.responders.loose_json._ENDS_NAME",
    "daemon.responders.loose_json._ENDS_ITEM",
    "daemon.responders.loose_json._ENDS_VALUE",
}
"""Patterns that are handed on, and tried at one place at a time."""

BODIES: set[Any] = {route.body for route in ROUTES if route.body is not None}

ARGUMENTS: dict[str, Callable[[Any], object]] = {
    "daemon.web.bounded.append": lambda text: bounded.append(
        bytearray(), _raw(text), bounded.bounded_decoder(""), 10_000_000
    ),
    "daemon.responders.letters.may_say": lambda text: may_say(text, (text,)),
    "daemon.forwarding.taking.is_among": lambda text: taking.is_among(text, (text,)),
    "actors.modes.is_off": lambda text: modes.is_off(text, Terms(mode="off")),
    "actors.contacts.rule": lambda text: contacts.rule(text, Terms(notify_numbers=(text,))),
    "actors.contacts.has_priority": lambda text: contacts.has_priority(
        text, Terms(contacts=ContactTerms(priority=(text, f"{text}*")))
    ),
    "actors.response_cache.fits": lambda text: response_cache.fits(text, text, text),
    "actors.momentary.names_customer": lambda text: momentary.names_customer(text, text),
    "actors.told.told_earlier": lambda text: told.told_earlier(
        text, "image", [Context("quote", text)], ContextTerms()
    ),
    "actors.text.first_words": lambda text: first_words(text, len(text)),
    "daemon.controls.own_words.is_listed": lambda text: own_words.is_listed(text, (text, f"{text}*")),
    "daemon.gateways.evolution.payload.parse_webhook": lambda body: payload.parse_webhook(body, "acme", None),
    "daemon.gateways.evolution.payload.read_webhook": lambda body: payload.read_webhook(body, "acme", None),
    "daemon.gateways.evolution.plain.read_plain": lambda body: plain.read_plain(body, "acme"),
    "daemon.gateways.evolution.amendments.amended": lambda text: amendments.amended(
        "acme", amendments.MessageChange(text, text), {"messageTimestamp": text}, text, text
    ),
    "daemon.gateways.evolution.amendments.edited_event": lambda text: amendments.edited_event(
        "acme", _edit(text)
    ),
    "daemon.gateways.evolution.amendments.deleted_event": lambda text: amendments.deleted_event(
        "acme", {"id": text}
    ),
    "daemon.gateways.evolution.amendments.updated_event": lambda text: amendments.updated_event(
        "acme", {"keyId": text, "message": {"editedMessage": {"message": {"conversation": text}}}}
    ),
    "daemon.gateways.evolution.message.read_item": lambda text: message.read_item("acme", _item(text)),
    "daemon.gateways.evolution.message.read_own": lambda text: message.read_own("acme", _item(text)),
    "daemon.gateways.evolution.parts.silent_reason": lambda text: parts.silent_reason(text, {"type": text}),
    "daemon.gateways.evolution.placeholders.named": lambda text: placeholders.named(text, text, text),
    "daemon.gateways.evolution.trade.money": lambda text: trade.money(text, text, text),
    "daemon.gateways.lenient.clean": lambda text: lenient.clean(text, len(text)),
    "daemon.ingress.jwt.is_signed": lambda text: jwt.is_signed(_raw(f"a.b.{text}"), b"key"),
    "daemon.ingress.jwt.is_in_force": lambda text: jwt.is_in_force(_jwt(text), 0.0),
    "daemon.ingress.inline_media.without_media": lambda document: inline_media.without_media(document, 0),
    "daemon.knowledge.tables.sections": lambda text: list(
        tables.sections("", [row.split(",") for row in text.split("|")])
    ),
    "daemon.knowledge.readers.parse": lambda text: readers.parse("file.md", _raw(text)),
    "daemon.observe.logs.masked": lambda text: logs.masked("reason", [text, {text: text}]),
    "daemon.realtime.frames.read": lambda frame: frames.read(frame, frames.KINDS, lenient=True),
    "daemon.realtime.frames.typed": lambda text: frames.typed("event", {text: text}),
    "daemon.responders.batched.read_together": lambda text: list(batched.read_together(text, {})),
    "daemon.responders.failures.trouble_inside": lambda text: failures.trouble_inside(
        {"error": {"message": text, "code": text, "metadata": {"raw": "{" + text, "reasons": [text]}}}
    ),
    "daemon.responders.markdown.tokens": lambda text: markdown.tokens(text, {"a": text}),
    "daemon.responders.tables.is_code": lambda text: answer_tables.is_code(text, ""),
    "daemon.responders.loose_json.read_object": lambda text: loose_json.read_object("{" + text, 0),
    "daemon.web.answer.retry_after_seconds": lambda text: answer.retry_after_seconds(text, datetime.now(UTC)),
    "daemon.web.http1.head.check_partial_head": lambda data: head.check_partial_head(data, 0),
    "daemon.web.http1.head.parse_head": lambda raw: head.parse_head(raw, 100),
}
METHODS: dict[str, Callable[[str], object]] = {
    "daemon.web.standard_webhooks.signature_in": lambda text: [
        standard_webhooks.signature_in({**_SIGNED, name: text}, 0.0) for name in _SIGNED
    ],
    "daemon.web.standard_webhooks.Signature.is_of": lambda text: standard_webhooks.Signature(
        b"", (b"",)
    ).is_of(_raw(text), b"key"),
    "daemon.forwarding.token.TokenCut.feed": lambda text: _token_cut(_raw(text)),
    "daemon.ingress.inline_media.InlineMedia.feed": lambda text: _cut_in_pieces(_raw(text)),
    "daemon.web.http1.chunked.ChunkedBody.feed": lambda text: ChunkedBody(IncomingBody(2**20)).feed(
        bytearray(text, "latin-1", "replace")
    ),
    "daemon.web.outgoing.response.ResponseReader.feed": lambda text: _response(_raw(text)),
    "daemon.responders.openai.OpenAi.joined": lambda text: OpenAi(Endpoint("m")).joined(
        b"data: {" + _raw(text)
    ),
    "daemon.operate.api._body": lambda text: [msgspec.json.decode(_raw(text), type=kind) for kind in BODIES],
    "daemon.knowledge.embeddings.EmbeddingsClient._read": lambda text: embeddings.items_in(
        b'{"data":[{"index":0,"embedding":[%b0]}]}' % _raw(text)
    ),
}
SAID = (
    *(
        "<think>",
        "</think>",
        "<plan>a",
        "</plan>",
        "<s>x</s>",
        "<think ",
        "&lt;",
        "<|im_end|>",
        "<|im_start|>user\n",
    ),
    *(
        "`<think>`",
        "<answer>a</answer>\n",
        "<|DSML|",
        "<|message|>",
        "◁think▷",
        "[THINK]",
        "<tool_call>",
        "<0x0A>",
    ),
    *(
        '"a ',
        "“a",
        "«»",
        "\\n",
        "a\\n ",
        "\\u0645",
        "【1†",
        "a[1]",
        "[^1]",
        "\ue200",
        "\n> ",
        "Answer:\n",
        "f(a=1)",
    ),
    *('{"message":', '[{"output":"a"},', "```a\n", "assistant\n\n", "\nUser: ", "<details type=reasoning>"),
)
"""What models say, over and over."""
DECODERS = {
    "daemon.ingress.jwt.(_HEADER, _CLAIMS)": "daemon.ingress.jwt.is_in_force",
    "daemon.controls.late_failures._record": "what our own functions in Postgres wrote",
    "daemon.controls.stored_settings._STORED": "what our own encoder wrote, or the operator's own SQL",
    "daemon.controls.takeovers.begin": "what our own functions in Postgres wrote",
    "daemon.dashboard.door._body": "as daemon.operate.api._body",
    "daemon.dashboard.playground.write": "an answer of our own door",
    "daemon.gateways.evolution.plain._decode": "daemon.gateways.evolution.plain.read_plain",
    "daemon.gateways.lenient._DECODER": "daemon.gateways.lenient.decode",
    "daemon.web.answer._DECODER": "daemon.web.answer.readable_json",
    "daemon.gateways.lenient.decode_again": "itself",
    "daemon.knowledge.embeddings._FLOATS": "daemon.knowledge.embeddings.items_in",
    "daemon.knowledge.embeddings.items_in": "itself",
    "daemon.knowledge.calibration._once": "what our own functions in Postgres wrote",
    "daemon.knowledge.calibration._unit": "daemon.knowledge.embeddings.items_in",
    "daemon.knowledge.library._json": "what our own functions in Postgres wrote",
    "daemon.forwarding.store._waiting": "what our own encoder wrote",
    "daemon.forwarding.token.own_place": "itself",
    "daemon.lookups.cached_answer._find": "what our own functions in Postgres wrote",
    "daemon.lookups.instance.instance_record": "what our own functions in Postgres wrote",
    "daemon.ledger.shared_columns.words": "the operator's own list of keywords",
    "daemon.lookups.interactions.quality": "what our own encoder wrote",
    "daemon.lookups.knowledge._search": "what our own functions in Postgres wrote",
    "daemon.lookups.history._said": "what our own functions in Postgres wrote",
    "daemon.lookups.pace._run": "what our own functions in Postgres wrote, cut there",
    "daemon.lookups.takeover._run": "what our own functions in Postgres wrote",
    "daemon.operate.api._body": "itself",
    "daemon.tenants.sealing.open": "what our own encoder wrote: a box that others made does not open",
    "daemon.realtime.frames._decoders": "daemon.realtime.frames.read",
    "daemon.realtime.frames._kind": "daemon.realtime.frames.read",
    "daemon.realtime.session._acknowledgement": "an answer of our own door",
    "daemon.responders.batched._entries": "daemon.responders.batched.read_together",
    "daemon.responders.loose_json._STRICT": "daemon.responders.loose_json.read_object",
    "daemon.responders.shapes._strict": "daemon.responders.shapes.said_in",
    "daemon.web.answer.readable_json": "itself",
}
"""The subject that brings each decoder foreign bytes, or why it sees none."""


def _edit(text: str) -> dict[str, object]:
    return {"type": text, "key": {"id": text}, "editedMessage": {"conversation": text}, "timestampMs": text}


def _item(text: str) -> dict[str, object]:
    """A message that has a text wherever one is read."""
    ad = {"title": text, "body": text, "sourceUrl": text}
    info = {
        "stanzaId": text,
        "participant": text,
        "quotedMessage": {"conversation": text},
        "externalAdReply": ad,
    }
    order = {
        "orderTitle": text,
        "product_items": [{"item_price": text, "quantity": text}] * 9,
        "message": text,
    }
    picture = {"caption": text, "fileSha256": text, "contextInfo": info}
    return {
        "key": {"remoteJid": text, "id": text, "fromMe": False},
        "pushName": text,
        "contextInfo": info,
        "message": {
            "orderMessage": order,
            "imageMessage": picture,
            text: {"text": text},
            "conversation": text,
        },
    }


_SIGNED: dict[str, str] = {
    standard_webhooks.ID: "a",
    standard_webhooks.TIMESTAMP: "0",
    standard_webhooks.SIGNATURE: f"v1,{'a' * 44}",
}


def _jwt(text: str) -> bytes:
    parts = (b'{"alg":"HS256","a":%b' % _raw(text), b'{"exp":1,"a":%b' % _raw(text), b"")
    return b".".join(map(jwt.encoded, parts))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _cut_in_pieces(data: bytes) -> None:
    """Media, of which nothing is quick to skip, as a slow connection brings them; then the same again as a text."""
    media = inline_media.InlineMedia()
    document = b'{"base64":"' + b"A" * (inline_media.SHORT_BYTES + 1) + data + b'","text":"' + data
    for start in range(0, len(document), 512):
        media.feed(document[start : start + 512])


def _token_cut(data: bytes) -> None:
    """Keys, and what may become one, as a slow connection brings them."""
    cut = token.TokenCut()
    document = b'{"apikey":"' + data + b'","apikey" ' + data + b' "apikey":"' + data
    for start in range(0, len(document), 512):
        cut.feed(document[start : start + 512])
    cut.end()


def _response(data: bytes) -> None:
    """A head, a chunk's extension, trailers and the smallest chunks, as a slow connection brings them."""
    start = b"HTTP/1.1 200 OK\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    tiny = b"1;\r\na\r\n" * (len(data) // 8)
    for document in (
        start + data,
        start + b"A: " + data,
        chunked + b"1;" + data,
        chunked + b"0\r\nA: " + data,
        chunked + tiny,
    ):
        response = ResponseReader()
        with suppress(Garbled):
            for at in range(0, len(document), 512):
                response.feed(document[at : at + 512])


def _is_own(name: str) -> bool:
    return name in OWN or any(name.startswith(f"{room}.") for room in OWN_ROOMS)


def _compiled(value: object, name: str) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _compiled(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _compiled(item, f"{name}[{index}]")


def subjects() -> tuple[list[Subject], list[str]]:
    """What is to be measured, and the complaints about what nobody can measure."""
    found: list[Subject] = []
    complaints: list[str] = []
    for module, tree in modules():
        patterns = [name for name in patterns_in(tree) if not _is_own(f"{module}.{name}")]
        readers = [(name, needed) for name, needed in readers_in(tree) if not _is_own(f"{module}.{name}")]
        decoders = [name for name in decoders_in(tree) if not _is_own(f"{module}.{name}")]
        if not patterns and not readers and not decoders:
            continue
        loaded = importlib.import_module(module)
        words: list[str] = []
        for name in patterns:
            compiled = list(_compiled(getattr(loaded, name, None), f"{module}.{name}"))
            if not compiled:
                complaints.append(
                    f"{module}: the pattern {name} has no name in its module, and no reason in OWN"
                )
            for full, pattern in compiled:
                used = {"match"} if full in MATCHED else methods_used(tree, name)
                found.append(pattern_subject(full, pattern, used))
                words += [unit for head, unit, tail in found[-1].inputs if not head and not tail][:6]
        for name, needed in readers:
            full = f"{module}.{name}"
            if needed and full not in ARGUMENTS:
                complaints.append(
                    f"{full} takes {', '.join(needed)}: it needs a line in ARGUMENTS or a reason in OWN"
                )
            else:
                found.append(
                    reader_subject(full, _called(loaded, tree, name, ARGUMENTS.get(full)), words[:12])
                )
        complaints += [
            f"{module}.{name} decodes: who brings it foreign bytes?"
            for name in decoders
            if f"{module}.{name}" not in DECODERS
        ]
    found += [reader_subject(name, run) for name, run in METHODS.items()]
    found += [
        Subject(
            f"daemon.responders.extraction.extract, behind {head!r}",
            extract,
            tuple((head, unit, "") for unit in SAID),
        )
        for head in ("", '{"message": "x')
    ]
    return found, complaints


def _called(
    loaded: object, tree: ast.Module, name: str, call: Callable[[Any], object] | None
) -> Callable[[str], object]:
    function = call or getattr(loaded, name)
    [node] = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    taken = (node.args.posonlyargs + node.args.args)[0].annotation
    of_bytes = taken is not None and ast.unparse(taken).startswith("byte")

    def run(text: str) -> None:
        read = function(text.encode("utf-8", "surrogatepass") if of_bytes else text)
        if isinstance(read, Iterator):
            for _ in read:
                pass

    return run


def test_everything_that_reads_foreign_bytes_is_measured() -> None:
    """What cannot be measured by itself has its line in one of the tables above, and no line is left over."""
    _, complaints = subjects()
    assert not complaints, "\n".join(complaints)
    places = {
        f"{module}.{name}"
        for module, tree in modules()
        for name in (*patterns_in(tree), *(name for name, _ in readers_in(tree)), *decoders_in(tree))
    }
    assert not {*OWN, *MATCHED, *ARGUMENTS, *DECODERS} - places


def test_a_new_pattern_reader_or_decoder_is_found() -> None:
    tree = ast.parse(
        "_A = re.compile('a')\n_B = (('x', re.compile('b')),)\n"
        "def read(text: str, limit: int = 1) -> str:\n    return re.sub('c', '', text)\n"
        "def load(body: bytes, kind: type) -> object:\n    return msgspec.json.decode(body)\n"
    )
    assert list(patterns_in(tree)) == ["_A", "_B", "c"]
    assert list(readers_in(tree)) == [("read", []), ("load", ["kind"])]
    assert list(decoders_in(tree)) == ["load"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)((?:api[-_ ]?key|authorization|token|secret|password|jwt)[\w-]*\\?[\"']?\s*[:=]\s*)",
        r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$",
    ],
)
def test_a_square_is_found(pattern: str) -> None:
    """These patterns stood here once: the first took 28 s for 64 KiB, the second 9.6 s for 2,000 blanks."""
    said = _measured(pattern)
    assert (said.returncode == -signal.SIGXCPU and said.stdout) or "times as much" in said.stdout, (
        said.stdout + said.stderr
    )


def test_a_line_is_no_square() -> None:
    assert _measured(r"(?<![\w-])[\w-]++\s*+[:=]").returncode == 0


def test_work_on_foreign_bytes_is_linear() -> None:
    said = _measured()
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]


def _measured(*patterns: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: nothing can interrupt a pattern but a limit of processor time."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (3 if patterns else CPU_SECONDS, CPU_SECONDS + 1))

    command = [sys.executable, "-m", "tests.test_linear", *patterns]
    return subprocess.run(command, cwd=ROOT, preexec_fn=limit, capture_output=True, text=True, check=False)


def _main(patterns: list[str]) -> int:
    measured = [pattern_subject(one, re.compile(one), {"search"}) for one in patterns] or subjects()[0]
    found = list(faults(measured))
    sys.stdout.write("\n".join(found))
    return len(found)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))

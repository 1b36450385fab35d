"""A second gateway: pigeons that carry letters. Its payloads, its address and its answers are its own.

Everything that a gateway needs is in this file; what registers it is one line, in whoever uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.messages import Message
from actors.outcome import (
    CannotTell,
    NoRecord,
    NotSent,
    RecordFound,
    SendEvidence,
    SendOutcome,
    Sent,
    Unknown,
)
from actors.ports import Gateway, MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.kind import GatewayKind, GatewaySettings, KnownSends, ProxyDoor, Tools
from daemon.gateways.lenient import NotJson, clean, decode, integer, items, mapping, text
from daemon.ingress.inbound import Ignored, Inbound, OwnMessage, Parse, UnreadablePayload
from daemon.schema.fields import Misfit, Secret, web_address
from daemon.web.answer import dig
from daemon.web.client import DeliveryUnknown, HttpClient, HttpFailed, NotDelivered
from daemon.web.finding import DOCTOR_SECONDS, Finding
from daemon.web.progress import NOT_ALLOWED
from tests.support.http_faults import Exchange, FaultServer, Request

MAX_BODY_BYTES = 1024 * 1024


class PigeonSettings(GatewaySettings):
    loft_url: str | None = None
    loft_seal: Secret | None = None

    @property
    def loft(self) -> tuple[str, str]:
        """Address and seal."""
        assert self.loft_url is not None and self.loft_seal is not None
        return self.loft_url, self.loft_seal.get_secret_value()


class Pigeon(GatewayKind[PigeonSettings]):
    name = "pigeon"
    settings = PigeonSettings
    knows_instances = True

    def misfits(self, settings: PigeonSettings, door: ProxyDoor) -> Iterator[Misfit]:
        yield from web_address(("loft_url",), settings.loft_url, "must be set for kind pigeon", "loft_seal")
        if settings.loft_seal is None:
            yield Misfit(("loft_seal",), None, "must be set for kind pigeon")

    def parser(self, settings: PigeonSettings) -> Parse:
        return read_letters

    def sender(self, settings: PigeonSettings, tools: Tools) -> Gateway:
        return PigeonGateway(tools.http, *settings.loft, settings.timeout_seconds)

    async def check(
        self,
        settings: PigeonSettings,
        instance: str,
        http: HttpClient,
        sends: KnownSends | None,
        connected_to: str = "",
    ) -> list[Finding]:
        url, seal = settings.loft
        try:
            answer = await http.get(
                f"{url}/letters/{quote(instance)}", {"x-seal": seal}, DOCTOR_SECONDS, MAX_BODY_BYTES
            )
        except HttpFailed as failure:
            return [Finding("problem", str(failure), "Check gateway.loft_url.")]
        if answer.status != 200:
            return [Finding("problem", f"status {answer.status}", "Set gateway.loft_seal.")]
        return [Finding("ok", "the loft answers")]


def read_letters(body: bytes, instance: str | None, event: str | None) -> Inbound:
    """`{"letters": [{"from", "mark", "words", "posted", "carried_back"?}]}`; the path names the instance."""
    try:
        letters = mapping(decode(body)).get("letters")
    except NotJson as error:
        raise UnreadablePayload(error.reason) from None
    if not isinstance(letters, list) or instance is None:
        raise UnreadablePayload("no_letters")
    messages: list[Message] = []
    own: list[OwnMessage] = []
    ignored: list[Ignored] = []
    for letter in map(mapping, items(letters)):
        contact, mark = clean(text(letter.get("from")), 64), clean(text(letter.get("mark")), 64)
        words, posted = clean(text(letter.get("words")), 65_536).strip(), integer(letter.get("posted")) or 0
        if not contact or not mark or not words:
            ignored.append(Ignored("torn_letter"))
        elif letter.get("carried_back"):  # a person of the business wrote it
            own.append(OwnMessage(instance, contact, "", mark, words, posted))
            ignored.append(Ignored("own_message"))
        else:
            messages.append(Message(instance, contact, mark, words, posted))
    return Inbound(instance, "letters", tuple(messages), tuple(ignored), own=tuple(own))


class PigeonGateway:
    def __init__(self, http: HttpClient, url: str, seal: str, timeout_seconds: float) -> None:
        self._http = http
        self._url = url
        self._headers = {"x-seal": seal}
        self._timeout_seconds = timeout_seconds

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        words = plain_text(text)
        if not words.strip():
            return NotSent("empty_text", "refuse")
        letter = {"to": plain_text(conversation.contact), "words": words}
        url, headers = self._letters(conversation), self._headers
        try:
            answer = await self._http.post_json(
                url, letter, headers, self._timeout_seconds, MAX_BODY_BYTES, may_send
            )
        except NotDelivered as failure:
            return NotSent("lease_ended" if failure.reason == NOT_ALLOWED else "unreachable", "hold")
        except DeliveryUnknown as failure:
            return Unknown(failure.reason)
        mark = dig(answer.json(), "mark")
        if answer.status == 200 and isinstance(mark, str):
            return Sent(mark)
        return NotSent("bad_seal", "hold") if answer.status == 401 else Unknown("loft_in_disorder")

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        try:
            answer = await self._http.get(
                self._letters(conversation), self._headers, self._timeout_seconds, MAX_BODY_BYTES
            )
        except HttpFailed:
            raise GatewayHeld("the loft cannot be asked") from None
        sent = dig(answer.json(), "letters")
        if not isinstance(sent, list):
            return CannotTell()
        wanted = (conversation.contact, plain_text(text))
        for letter in map(mapping, sent):
            mark = letter.get("mark")
            is_new = isinstance(mark, str) and mark not in known_ids
            if is_new and (letter.get("to"), letter.get("words")) == wanted:
                return RecordFound(str(mark))
        return NoRecord()

    def _letters(self, conversation: Conversation) -> str:
        return f"{self._url}/letters/{quote(plain_text(conversation.instance), safe='')}"


class FakeLoft(FaultServer):
    """Where pigeons start: keeps every letter that they took along."""

    def __init__(self, seal: str = "red-wax") -> None:
        super().__init__()
        self.seal = seal
        self.letters: list[dict[str, object]] = []

    def words(self) -> list[object]:
        with self.lock:
            return [letter["words"] for letter in self.letters]

    def wait_for_letters(self, count: int) -> list[dict[str, object]]:
        self.wait_until(lambda: len(self.letters) >= count, f"{count} letters left")
        with self.lock:
            return list(self.letters)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        instance = urlsplit(request.path).path.removeprefix("/letters/")
        if request.headers.get("x-seal") != self.seal:
            await exchange.answer_json(401, {})
        elif request.method == "POST":
            with self.changed:
                mark = f"letter-{len(self.letters)}"
                self.letters.append({**mapping(request.json()), "mark": mark, "instance": instance})
                self.changed.notify_all()
            await exchange.answer_json(200, {"mark": mark})
        else:
            with self.lock:
                own = [letter for letter in self.letters if letter["instance"] == instance]
            await exchange.answer_json(200, {"letters": own})

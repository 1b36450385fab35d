"""The sections of the settings: every value, its type, its bounds and its default.

Laws of this file:
- A key's name carries its unit (`_seconds`, `_bytes`); a key without one is a plain count or a name.
- Every default is written here and nowhere else, except those of a kind of gateway or provider, which are in its file.
  `config.yaml` explains the same defaults (a test compares them).
- Keys, tokens and addresses that may carry a password are `SecretStr`: no repr and no error shows them.
- The rules for a single value are here; the rules between values are in `relations.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from actors.instance import (
    CacheContext,
    LimitPolicy,
    OtherSenderPolicy,
    ReactionPolicy,
    ReplyFormatting,
    UnknownTypePolicy,
)
from actors.machines import MAX_REPLIES
from actors.messages import WindowKind, WindowPolicy
from daemon.config.credentials import AuthSettings, Keys, SigningSecrets, TokenHashes, Tokens, one_or_two
from daemon.config.embedding_models import Prefixes, prefixes, vector_key
from daemon.config.secret_keys import read_key
from daemon.gateways.kind import GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.responders.kind import ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.schema.fields import (
    Count,
    CountOrZero,
    DoorToken,
    Flag,
    Headers,
    Name,
    SaidText,
    Seconds,
    SecondsOrZero,
    Secret,
    Section,
    Share,
    ShareOrAuto,
    Visible,
    number,
    section,
    with_every_key,
)
from daemon.web.http1 import UNIX

if TYPE_CHECKING:  # only the kind knows its own keys
    AnyGatewaySettings = GatewaySettings
    AnyProviderSettings = ProviderSettings
else:
    AnyGatewaySettings = with_every_key(GatewaySettings, GATEWAYS)
    AnyProviderSettings = with_every_key(ProviderSettings, PROVIDERS)

EMBEDDED = "embedded"


def _spelled(value: object) -> object:
    """A user or group may be given by its number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: object) -> object:
    """A number may be given without quotes, but one that is dialled at home begins with a 0, and YAML reads that as
    another number, of fewer digits: what may have been one is no number with a country code."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return f"0{value}" if is_whole and len(str(value)) < _FEWEST_UNQUOTED_DIGITS else _spelled(value)


_FEWEST_UNQUOTED_DIGITS = 11
Word = Annotated[str, BeforeValidator(_spelled), Field(min_length=1, max_length=4_096)]
Number = Annotated[str, BeforeValidator(_number), Field(min_length=1, max_length=64)]
"""A phone number with country code, or a prefix of numbers that ends in `*`."""
Weight = Annotated[float, BeforeValidator(number), Field(ge=0.1, le=100, strict=True, allow_inf_nan=False)]
"""Of an instance, among all."""
Person = Annotated[str, BeforeValidator(_spelled), Field(min_length=1)]


class RedisSettings(Section):
    url: Secret = SecretStr(EMBEDDED)
    program: Path | None = None
    durability: Literal["always", "everysec"] = "always"
    trust_unseen_settings: Flag = False

    @property
    def is_embedded(self) -> bool:
        return self.url.get_secret_value() == EMBEDDED


class PostgresSettings(Section):
    dsn: Secret = SecretStr(EMBEDDED)
    pool_size: Count = 20

    @property
    def is_embedded(self) -> bool:
        return self.dsn.get_secret_value() == EMBEDDED


class InstanceIngressSettings(Section):
    """The keys that an instance may have for itself."""

    max_age_seconds: Seconds = 86_400.0


class OwnIngressSettings(InstanceIngressSettings):
    """And the keys that only an instance has: what opens the door for it alone."""

    token: Annotated[Tokens | None, BeforeValidator(one_or_two)] = None
    tokens_sha256: Annotated[TokenHashes | None, BeforeValidator(one_or_two)] = None
    jwt_key: Annotated[Tokens | None, BeforeValidator(one_or_two)] = None
    signing_secret: Annotated[SigningSecrets | None, BeforeValidator(one_or_two)] = None

    @property
    def is_guarded(self) -> bool:
        """Whether the instance has any of them."""
        return bool(self.token or self.tokens_sha256 or self.jwt_key or self.signing_secret)


class IngressSettings(InstanceIngressSettings):
    listen: str = "127.0.0.1:8080"
    open_to: Literal["owner", "group", "everyone"] = "owner"
    group: Person | None = None
    trusted_proxies: tuple[str, ...] = ()
    auth: Annotated[AuthSettings, BeforeValidator(section)] = AuthSettings()
    max_head_bytes: Count = 16 * 1024
    head_seconds: Seconds = 5.0
    max_body_bytes: Count = 1024 * 1024
    max_media_bytes: Count = 144 * 1024 * 1024
    body_seconds: Seconds = 10.0
    max_bytes_in_flight: Count = 64 * 1024 * 1024
    max_unproven_bytes: Count = 8 * 1024 * 1024
    max_forwards_bytes: Count = 8 * 1024 * 1024 * 1024
    max_connections: Count = 1024
    max_connections_per_address: Count = 512

    @property
    def socket_file(self) -> Path | None:
        """Where `listen` is `unix:/path`."""
        return Path(self.listen.removeprefix(UNIX)) if self.listen.startswith(UNIX) else None


class AdminLevels(Section):
    """Who may do what, besides the daemon's own user and root: user names, uids, `group:NAME`, `group:GID`."""

    read: tuple[Person, ...] = ()
    operate: tuple[Person, ...] = ()
    admin: tuple[Person, ...] = ()


class AdminSettings(Section):
    socket: Path | None = None
    open_to: Literal["owner", "group", "everyone"] = "owner"
    group: Person | None = None
    levels: Annotated[AdminLevels, BeforeValidator(section)] = AdminLevels()


class TypingSettings(Section):
    enabled: Flag = True
    max_seconds: Seconds = 60.0


class BatchingSettings(Section):
    policy: WindowKind = "rule"
    window_seconds: Seconds = 8.0
    max_messages: Count = 5
    max_batch_messages: Count = 50
    max_waiting_messages: Count = 1000
    album_seconds: SecondsOrZero = 10.0
    quiet_seconds: Seconds = 10.0
    max_seconds: Seconds = 60.0
    typing: Annotated[TypingSettings, BeforeValidator(section)] = TypingSettings()

    @property
    def window(self) -> WindowPolicy:
        return WindowPolicy(
            kind=self.policy,
            window_seconds=self.window_seconds,
            max_messages=self.max_messages,
            max_batch_messages=self.max_batch_messages,
            max_waiting_messages=self.max_waiting_messages,
            album_seconds=self.album_seconds,
            quiet_seconds=self.quiet_seconds,
            max_seconds=self.max_seconds,
            typing_seconds=self.typing.max_seconds if self.typing.enabled else 0.0,
        )


class InstanceTurnSettings(Section):
    """The keys that an instance may have for itself."""

    duplicate_seconds: SecondsOrZero = 300.0


class TurnSettings(InstanceTurnSettings):
    max_tries: Count = 3
    concurrency: Count | None = None
    work: Count | None = None
    backoff_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (1.0, 2.0, 4.0)
    max_hold_seconds: Seconds = 21_600.0
    history_tokens: CountOrZero = 800
    parallel: Flag = True
    settings_cache_seconds: SecondsOrZero = 30.0


class EscalationSettings(Section):
    enabled: Flag = True
    message: SaidText = (
        "A member of our team will reply to you here soon.\nسيرد عليك أحد أعضاء فريقنا هنا قريبًا."
    )
    repeat_seconds: SecondsOrZero = 300.0
    hand_back_seconds: Seconds = 86_400.0
    notify_numbers: tuple[str, ...] = ()
    notify_webhook: Secret | None = None
    signing_secret: Annotated[SigningSecrets | None, BeforeValidator(one_or_two)] = None
    reason_names: Annotated[dict[Name, Name], BeforeValidator(section)] = Field(default_factory=dict)
    priority: Flag = False


class TakeoverCommands(Section):
    """What staff may write in a chat; null: no such command."""

    resume: Word | None = "#bot"
    pause: Word | None = "#human"


class TakeoverSettings(Section):
    pause_seconds: SecondsOrZero = 14_400.0
    automatic: Flag = True
    automatic_texts: tuple[Word, ...] = ()
    other_senders: OtherSenderPolicy = "history"
    chatwoot: OtherSenderPolicy = "takeover"
    commands: Annotated[TakeoverCommands, BeforeValidator(section)] = TakeoverCommands()


class ContactsSettings(Section):
    ignore: tuple[Number, ...] = ()
    allow: tuple[Number, ...] = ()
    priority: tuple[Number, ...] = ()
    answer_staff: Flag = False
    answer_instances: Flag = False
    link_numbers: Flag = True


class OptOutSettings(Section):
    enabled: Flag = True
    stop_words: tuple[Word, ...] = (
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "STOP PROMOTIONS",
        "إيقاف",
        "إيقاف الرسائل",
        "الغاء الاشتراك",
        "SAIR",
        "PARAR",
        "DESCADASTRAR",
        "DESUSCRIBIR",
    )
    start_words: tuple[Word, ...] = ("START", "ابدأ", "VOLTAR", "VOLVER")
    message: SaidText = ""
    back_message: SaidText = ""


class MachinesSettings(Section):
    enabled: Flag = True
    replies: Annotated[Count, Field(ge=10, le=MAX_REPLIES)] = 30
    within_seconds: Seconds = 600.0
    silence_seconds: Seconds = 3_600.0


class ReplySettings(Section):
    model_silence: Flag = True
    formatting: ReplyFormatting = "whatsapp"
    max_chars: Annotated[Count, Field(ge=100, le=65_000)] = 4_000
    max_parts: Annotated[Count, Field(le=50)] = 10
    retry_cut: Flag = True


class ContextSettings(Section):
    references: Flag = True
    reactions: ReactionPolicy = "context"
    edits: Flag = True
    unknown_types: UnknownTypePolicy = "answer"
    clock: Flag = True
    customer_name: Flag = True


class CacheSettings(Section):
    enabled: Flag = True
    exact_seconds: SecondsOrZero = 3_600.0
    similar_seconds: SecondsOrZero = 86_400.0
    similarity: ShareOrAuto = 0.95
    context: CacheContext = "first_question"
    max_entries: Count = 10_000


class KnowledgeSettings(Section):
    enabled: Flag = True
    threshold: ShareOrAuto = 0.3
    max_passages: Count = 5
    max_tokens: Count = 1_500


class EmbeddingsSettings(Section):
    base_url: Visible | None = None
    api_key: Secret | None = None
    model: Visible | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None
    batch_size: Count = 64
    timeout_seconds: Seconds = 10.0
    cache_seconds: Seconds = 86_400.0

    @property
    def prefixes(self) -> Prefixes:
        """What goes before each text."""
        return prefixes(self.model or "", self.query_prefix, self.passage_prefix)

    @property
    def key(self) -> str:
        """Under what the model's vectors are kept; empty: there is no model."""
        return vector_key(self.model, self.prefixes) if self.model else ""


class LimitsSettings(Section):
    turns_per_minute_per_contact: Count | None = None
    turns_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    cost_per_day: Seconds | None = None
    cost_per_message: Seconds | None = None
    warn_at: tuple[Share, ...] = (0.5, 0.8)
    on_rate: LimitPolicy = "hold"
    on_budget: LimitPolicy = "fallback"


class AlertsSettings(Section):
    webhook: Secret | None = None
    signing_secret: Annotated[SigningSecrets | None, BeforeValidator(one_or_two)] = None


class PassthroughSettings(Section):
    """Where webhooks go in mode passthrough, and with what."""

    url: Secret | None = None
    api_key: Secret | None = None
    headers: Headers = Field(default_factory=dict)
    by_events: Flag = False
    events: tuple[Name, ...] = ()
    max_waiting_bytes: Count = 1024 * 1024 * 1024


class SecretsSettings(Section):
    keys: Annotated[Keys | None, BeforeValidator(one_or_two)] = None

    @property
    def read(self) -> tuple[bytes, ...]:
        """The keys themselves; the first one seals. `load` refuses what is none."""
        return tuple(read_key(key.get_secret_value()) for key in self.keys or ())


class TargetsSettings(Section):
    period_seconds: Seconds = 86_400.0
    response_seconds: Seconds | None = 2.0
    errors: Share | None = 0.001
    cost_per_message: Seconds | None = 0.002
    conversations: Count | None = 200
    messages_per_minute: Count | None = 1_000


class MetricsSettings(Section):
    enabled: Flag = True
    token: DoorToken | None = None


class MonitorSettings(Section):
    every_seconds: Seconds = 10.0
    window_seconds: Seconds = 300.0
    raise_seconds: SecondsOrZero = 10.0
    clear_seconds: SecondsOrZero = 60.0
    lease_failures: Share = 0.01
    time_outs: Share = 0.005
    queue_depth: Count = 1_000
    oldest_waiting_seconds: Seconds = 300.0
    memory: Share = 0.8
    redis_memory: Share = 0.8
    orphan_seconds: Seconds = 30.0
    unfinished_seconds: Seconds = 300.0


class SweepSettings(Section):
    enabled: Flag = True
    every_seconds: Seconds = 600.0
    max_age_seconds: Seconds = 21_600.0
    settle_seconds: SecondsOrZero = 30.0


Days = Annotated[int, BeforeValidator(number), Field(ge=7, le=36_500, strict=True)]
"""At least a week: messages that are delivered again must be known, and edits and deletions come days later."""


class RetentionSettings(Section):
    turns_days: Days | None = None
    audit_days: Days | None = None
    quarantine_days: Days | None = None
    whatsapp_messages_days: Days | None = None
    whatsapp_ai_interactions_days: Days | None = None

    @property
    def kept(self) -> dict[str, int | None]:
        """By what is kept."""
        return {name.removesuffix("_days"): getattr(self, name) for name in RetentionSettings.model_fields}


class ResponderBatching(Section):
    enabled: Flag = False
    wait_seconds: Seconds = 0.05
    max_conversations: Annotated[int, BeforeValidator(number), Field(ge=2, le=10, strict=True)] = 10


class ResponderSettings(Section):
    providers: Annotated[tuple[AnyProviderSettings, ...], Field(min_length=1)] = (
        AnyProviderSettings(name="rehearsal", kind="rehearsal"),
    )
    balance: Literal["ordered", "weighted"] = "ordered"
    deadline_seconds: Seconds = 60.0
    max_answer_chars: Count = 12_000
    breaker_failures: Count = 5
    breaker_seconds: Seconds = 10.0
    fallback_message: SaidText | None = None
    batching: Annotated[ResponderBatching, BeforeValidator(section)] = ResponderBatching()


class RealtimeClient(Section):
    name: Name
    token: Annotated[Tokens, BeforeValidator(one_or_two)]
    instances: Literal["all"] | tuple[Name, ...] = ()
    may_push: Flag = False
    may_watch: Flag = False

    def may_see(self, instance: str) -> bool:
        return self.instances == "all" or instance in self.instances


class RealtimeSettings(Section):
    listen: str | None = None
    clients: tuple[RealtimeClient, ...] = ()
    allowed_origins: tuple[Visible, ...] = ()
    replay_events: Count = 10_000
    max_queued_events: Count = 1_000
    max_pushes_in_flight: Count = 64
    max_connections: Count = 64
    max_frame_bytes: Count = 1024 * 1024
    auth_seconds: Seconds = 5.0
    write_seconds: Seconds = 10.0
    ping_seconds: Seconds = 20.0
    pong_seconds: Seconds = 20.0
    idle_seconds: Seconds = 300.0


class TlsSettings(Section):
    ca_file: Path | None = None


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class TracingSettings(Section):
    endpoint: str | None = None
    headers: Annotated[dict[Name, Secret], BeforeValidator(section)] = Field(default_factory=dict)
    service_name: Name = "majlis"
    sample: Share = 1.0
    every_seconds: Seconds = 5.0
    timeout_seconds: Seconds = 10.0
    max_queued_spans: Count = 10_000
    max_batch_spans: Count = 512


class DashboardSettings(Section):
    listen: str | None = "127.0.0.1:8089"
    hosts: tuple[str, ...] = ()
    level: Literal["read", "operate", "admin"] = "operate"
    login_seconds: Seconds = 3_600.0
    session_seconds: Seconds = 43_200.0
    playground: Flag = True

"""All settings put together: the defaults, the overrides of an instance, and the result for it. Frozen."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from actors.contacts import patterns
from actors.identity import phone_number
from actors.instance import (
    ContactTerms,
    ContextTerms,
    FeatureFlags,
    MachineTerms,
    Mode,
    OptOutTerms,
    ReplyTerms,
    Terms,
    TurnShare,
)
from actors.messages import WindowPolicy
from actors.notices import ALERT_WEBHOOK, ESCALATION_WEBHOOK
from daemon.config.credentials import signing_keys
from daemon.config.sections import (
    AdminSettings,
    AlertsSettings,
    AnyGatewaySettings,
    BatchingSettings,
    CacheSettings,
    ContactsSettings,
    ContextSettings,
    DashboardSettings,
    EmbeddingsSettings,
    EscalationSettings,
    IngressSettings,
    InstanceTurnSettings,
    KnowledgeSettings,
    LimitsSettings,
    LogSettings,
    MachinesSettings,
    MetricsSettings,
    MonitorSettings,
    OptOutSettings,
    OwnIngressSettings,
    PassthroughSettings,
    PostgresSettings,
    RealtimeSettings,
    RedisSettings,
    ReplySettings,
    ResponderSettings,
    RetentionSettings,
    SecretsSettings,
    SweepSettings,
    TakeoverSettings,
    TargetsSettings,
    TlsSettings,
    TracingSettings,
    TurnSettings,
    Weight,
)
from daemon.config.sources import Layer
from daemon.responders.kind import ProviderSettings
from daemon.schema.fields import Name, SecondsOrZero, Section, SectionT, meant_by_false, number, section


class InstanceOverrides(Section):
    """The settings in which one instance differs. Only keys that were written count (`model_fields_set`)."""

    batching: Annotated[BatchingSettings, BeforeValidator(section)] = BatchingSettings()
    responder: Annotated[ResponderSettings, BeforeValidator(section)] = ResponderSettings()
    gateway: Annotated[AnyGatewaySettings, BeforeValidator(section)] = AnyGatewaySettings()
    escalation: Annotated[EscalationSettings, BeforeValidator(section)] = EscalationSettings()
    takeover: Annotated[TakeoverSettings, BeforeValidator(section)] = TakeoverSettings()
    cache: Annotated[CacheSettings, BeforeValidator(section)] = CacheSettings()
    knowledge: Annotated[KnowledgeSettings, BeforeValidator(section)] = KnowledgeSettings()
    limits: Annotated[LimitsSettings, BeforeValidator(section)] = LimitsSettings()
    alerts: Annotated[AlertsSettings, BeforeValidator(section)] = AlertsSettings()
    ingress: Annotated[OwnIngressSettings, BeforeValidator(section)] = OwnIngressSettings()
    turn: Annotated[InstanceTurnSettings, BeforeValidator(section)] = InstanceTurnSettings()
    contacts: Annotated[ContactsSettings, BeforeValidator(section)] = ContactsSettings()
    opt_out: Annotated[OptOutSettings, BeforeValidator(section)] = OptOutSettings()
    machines: Annotated[MachinesSettings, BeforeValidator(section)] = MachinesSettings()
    reply: Annotated[ReplySettings, BeforeValidator(section)] = ReplySettings()
    context: Annotated[ContextSettings, BeforeValidator(section)] = ContextSettings()
    passthrough: Annotated[PassthroughSettings, BeforeValidator(section)] = PassthroughSettings()
    mode: Annotated[Mode | None, meant_by_false("off")] = None
    country: Annotated[str | None, meant_by_false("NO")] = None
    timezone: str | None = None
    hours: tuple[str, ...] | None = None
    weight: Weight | None = None


FLAG_OF = {
    "turn.parallel": "parallel",
    "cache.enabled": "cache",
    "knowledge.enabled": "knowledge",
    "responder.batching.enabled": "batching",
    "escalation.enabled": "escalation",
}
"""The feature flag that switches each of these settings while the daemon runs."""


class NoticeWebhook(NamedTuple):
    """Where notices go, and what they are signed with: once for each key."""

    url: str
    signing_keys: tuple[bytes, ...] = ()


class InstanceSettings(Section):
    """The settings in force for one instance: its overrides merged over the defaults."""

    name: str
    batching: BatchingSettings
    responder: ResponderSettings
    gateway: AnyGatewaySettings
    escalation: EscalationSettings
    takeover: TakeoverSettings
    cache: CacheSettings
    knowledge: KnowledgeSettings
    limits: LimitsSettings
    alerts: AlertsSettings
    ingress: OwnIngressSettings
    turn: InstanceTurnSettings
    contacts: ContactsSettings
    opt_out: OptOutSettings
    machines: MachinesSettings
    reply: ReplySettings
    context: ContextSettings
    passthrough: PassthroughSettings
    mode: Mode
    country: str
    timezone: str
    hours: tuple[str, ...]
    weight: float = 1.0
    embedding_model: str = ""

    def terms(self) -> Terms:
        """The part of this that a turn needs."""
        escalation, limits = self.escalation, self.limits
        return Terms(
            mode=self.mode,
            share=TurnShare(self.weight, _places(self.responder)),
            escalated_goes_first=escalation.priority,
            escalated_message=escalation.message,
            fallback_message=self.responder.fallback_message or "",
            escalated_repeat_seconds=escalation.repeat_seconds,
            hand_back_seconds=escalation.hand_back_seconds,
            notify_numbers=tuple(phone_number(number) or number for number in escalation.notify_numbers),
            has_notify_webhook=escalation.notify_webhook is not None,
            has_alert_webhook=self.alerts.webhook is not None,
            allowed_origins=self.gateway.allowed_origins,
            turns_per_minute_per_contact=limits.turns_per_minute_per_contact,
            turns_per_minute=limits.turns_per_minute,
            tokens_per_day=limits.tokens_per_day,
            cost_per_day_micros=None
            if limits.cost_per_day is None
            else round(limits.cost_per_day * 1_000_000),
            on_rate=limits.on_rate,
            on_budget=limits.on_budget,
            warn_at=tuple(sorted(set(limits.warn_at))),
            cost_per_message_micros=None
            if limits.cost_per_message is None
            else round(limits.cost_per_message * 1_000_000),
            reason_names=tuple(escalation.reason_names.items()),
            knowledge_threshold=self.knowledge.threshold,
            knowledge_max_passages=self.knowledge.max_passages,
            knowledge_max_tokens=self.knowledge.max_tokens,
            cache_scope=_who_answers(self.responder),
            answered_by=self.responder,
            cache_exact_seconds=self.cache.exact_seconds,
            cache_similar_seconds=self.cache.similar_seconds,
            cache_similarity=self.cache.similarity,
            cache_context=self.cache.context,
            cache_max_entries=self.cache.max_entries,
            embedding_model=self.embedding_model,
            duplicate_seconds=self.turn.duplicate_seconds,
            max_age_seconds=self.ingress.max_age_seconds,
            reply=ReplyTerms(**self.reply.model_dump()),
            contacts=ContactTerms(
                **self.contacts.model_dump()
                | {
                    name: patterns(listed)
                    for name, listed in self.contacts
                    if name in ("ignore", "allow", "priority")
                }
            ),
            opt_out=OptOutTerms(**self.opt_out.model_dump()),
            machines=MachineTerms(**self.machines.model_dump()),
            context=ContextTerms(**self.context.model_dump(), timezone=self.timezone, hours=self.hours),
        )

    def webhook(self, reference: str) -> NoticeWebhook | None:
        """What a notice's reference stands for; None: none is set, or the reference is unknown."""
        address, secrets = {
            ESCALATION_WEBHOOK: (self.escalation.notify_webhook, self.escalation.signing_secret),
            ALERT_WEBHOOK: (self.alerts.webhook, self.alerts.signing_secret),
        }.get(reference, (None, None))
        return None if address is None else NoticeWebhook(address.get_secret_value(), signing_keys(secrets))

    def flags(self, parallel: bool) -> FeatureFlags:
        """The features that are on as configured; `majlis flags` may change them while the daemon runs."""
        return FeatureFlags(
            parallel=parallel,
            cache=self.cache.enabled,
            knowledge=self.knowledge.enabled,
            batching=self.responder.batching.enabled,
            escalation=self.escalation.enabled,
            takeover=self.takeover.pause_seconds > 0,
        )


class Settings(BaseSettings):
    """All settings, resolved. `load` makes them; pydantic's own sources are never read implicitly."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Path("var")
    node_id: Name | None = None
    partitions: Annotated[int, BeforeValidator(number), Field(ge=1, le=16_384, strict=True)] = 256
    redis: Annotated[RedisSettings, BeforeValidator(section)] = RedisSettings()
    postgres: Annotated[PostgresSettings, BeforeValidator(section)] = PostgresSettings()
    ingress: Annotated[IngressSettings, BeforeValidator(section)] = IngressSettings()
    admin: Annotated[AdminSettings, BeforeValidator(section)] = AdminSettings()
    batching: Annotated[BatchingSettings, BeforeValidator(section)] = BatchingSettings()
    turn: Annotated[TurnSettings, BeforeValidator(section)] = TurnSettings()
    responder: Annotated[ResponderSettings, BeforeValidator(section)] = ResponderSettings()
    gateway: Annotated[AnyGatewaySettings, BeforeValidator(section)] = AnyGatewaySettings()
    escalation: Annotated[EscalationSettings, BeforeValidator(section)] = EscalationSettings()
    takeover: Annotated[TakeoverSettings, BeforeValidator(section)] = TakeoverSettings()
    contacts: Annotated[ContactsSettings, BeforeValidator(section)] = ContactsSettings()
    opt_out: Annotated[OptOutSettings, BeforeValidator(section)] = OptOutSettings()
    machines: Annotated[MachinesSettings, BeforeValidator(section)] = MachinesSettings()
    reply: Annotated[ReplySettings, BeforeValidator(section)] = ReplySettings()
    context: Annotated[ContextSettings, BeforeValidator(section)] = ContextSettings()
    passthrough: Annotated[PassthroughSettings, BeforeValidator(section)] = PassthroughSettings()
    mode: Annotated[Mode, meant_by_false("off")] = "live"
    country: Annotated[str, meant_by_false("NO")] = ""
    timezone: str = "UTC"
    hours: tuple[str, ...] = ()
    weight: Weight = 1.0
    cache: Annotated[CacheSettings, BeforeValidator(section)] = CacheSettings()
    knowledge: Annotated[KnowledgeSettings, BeforeValidator(section)] = KnowledgeSettings()
    embeddings: Annotated[EmbeddingsSettings, BeforeValidator(section)] = EmbeddingsSettings()
    limits: Annotated[LimitsSettings, BeforeValidator(section)] = LimitsSettings()
    alerts: Annotated[AlertsSettings, BeforeValidator(section)] = AlertsSettings()
    secrets: Annotated[SecretsSettings, BeforeValidator(section)] = SecretsSettings()
    targets: Annotated[TargetsSettings, BeforeValidator(section)] = TargetsSettings()
    metrics: Annotated[MetricsSettings, BeforeValidator(section)] = MetricsSettings()
    monitor: Annotated[MonitorSettings, BeforeValidator(section)] = MonitorSettings()
    tls: Annotated[TlsSettings, BeforeValidator(section)] = TlsSettings()
    tracing: Annotated[TracingSettings, BeforeValidator(section)] = TracingSettings()
    realtime: Annotated[RealtimeSettings, BeforeValidator(section)] = RealtimeSettings()
    dashboard: Annotated[DashboardSettings, BeforeValidator(section)] = DashboardSettings()
    sweep: Annotated[SweepSettings, BeforeValidator(section)] = SweepSettings()
    retention: Annotated[RetentionSettings, BeforeValidator(section)] = RetentionSettings()
    drain_seconds: SecondsOrZero = 20.0
    log: Annotated[LogSettings, BeforeValidator(section)] = LogSettings()
    instances: Annotated[
        dict[Name, Annotated[InstanceOverrides, BeforeValidator(section)]], BeforeValidator(section)
    ] = Field(default={"demo": InstanceOverrides()})

    _merged: dict[str, InstanceSettings] = PrivateAttr(default_factory=dict)

    def __init__(self, *sources: PydanticBaseSettingsSource, layers: tuple[Layer, ...] = ()) -> None:
        """From `sources`, the strongest first; without any, all defaults.

        `layers` is what `sources` read. It is kept outside pydantic's fields, so that equal settings are equal
        regardless of their origin.
        """
        super().__init__(_build_sources=(sources, {}))
        self.__dict__["layers"] = layers

    def model_post_init(self, context: object, /) -> None:
        for name, overrides in self.instances.items():
            self._merged[name] = self._merge(name, overrides)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Where they came from, the strongest first; empty for settings that are all defaults."""
        return ()

    @property
    def names(self) -> frozenset[str]:
        """The instances with settings of their own."""
        return frozenset(self.instances)

    @property
    def of_others(self) -> InstanceSettings:
        """Those of every instance without settings of its own."""
        return self._undeclared

    @property
    def admin_socket(self) -> Path:
        return self.admin.socket or self.data_dir / "run" / "admin.sock"

    def for_instance(self, name: str) -> InstanceSettings:
        """The settings in force for `name`: batching and gateway merge key by key, a list of providers replaces all."""
        merged = self._merged.get(name)
        return merged if merged is not None else self._undeclared.model_copy(update={"name": name})

    def window(self, instance: str) -> WindowPolicy:
        """The window of `instance`: this object is the `Policies` of the actors."""
        return self._windows.get(instance) or self._default_window

    def terms(self, instance: str) -> Terms:
        """What the configuration says about one instance's turns."""
        return self.for_instance(instance).terms()

    # Asked for with every message; a private attribute of pydantic would cost ten times as much.

    @cached_property
    def _undeclared(self) -> InstanceSettings:
        return self._merge("", InstanceOverrides())

    @cached_property
    def _windows(self) -> dict[str, WindowPolicy]:
        return {name: merged.batching.window for name, merged in self._merged.items()}

    @cached_property
    def _default_window(self) -> WindowPolicy:
        return self.batching.window

    def _merge(self, name: str, overrides: InstanceOverrides) -> InstanceSettings:
        return InstanceSettings(
            name=name,
            batching=_over(self.batching, overrides.batching),
            responder=_over(self.responder, overrides.responder),
            gateway=_over(self.gateway, overrides.gateway),
            escalation=_over(self.escalation, overrides.escalation),
            takeover=_over(self.takeover, overrides.takeover),
            cache=_over(self.cache, overrides.cache),
            knowledge=_over(self.knowledge, overrides.knowledge),
            limits=_over(self.limits, overrides.limits),
            alerts=_over(self.alerts, overrides.alerts),
            ingress=_over(_shared(OwnIngressSettings, self.ingress), overrides.ingress),
            turn=_over(_shared(InstanceTurnSettings, self.turn), overrides.turn),
            contacts=_over(self.contacts, overrides.contacts),
            opt_out=_over(self.opt_out, overrides.opt_out),
            machines=_over(self.machines, overrides.machines),
            reply=_over(self.reply, overrides.reply),
            context=_over(self.context, overrides.context),
            passthrough=_over(self.passthrough, overrides.passthrough),
            mode=self.mode if overrides.mode is None else overrides.mode,
            country=self.country if overrides.country is None else overrides.country,
            timezone=self.timezone if overrides.timezone is None else overrides.timezone,
            hours=self.hours if overrides.hours is None else overrides.hours,
            weight=self.weight if overrides.weight is None else overrides.weight,
            embedding_model=self.embeddings.key,
        )


def _who_answers(responder: ResponderSettings) -> str:
    """A digest of everything that affects the answers: kinds, models, addresses and prompts, but no keys or prices."""
    deciding = [
        (
            provider.name,
            provider.kind,
            provider.base_url,
            provider.model,
            provider.system_prompt,
            provider.temperature,
            provider.reasoning_effort,
            provider.extra_body,
            *_own(provider),
        )
        for provider in responder.providers
    ]
    return hashlib.sha256(repr(deciding).encode()).hexdigest()[:16]


def _places(responder: ResponderSettings) -> tuple[tuple[str, int], ...]:
    """Who may be asked, and how many calls each takes at once. Two entries of one place count as the first."""
    found: dict[str, int] = {}
    for provider in responder.providers:
        found.setdefault(provider.place, provider.max_in_flight)
    return tuple(found.items())


def _own(provider: ProviderSettings) -> tuple[object, ...]:
    """The settings that only its kind of provider knows, without secrets."""
    own = [key for key in type(provider).model_fields if key not in ProviderSettings.model_fields]
    values = (getattr(provider, key) for key in own)
    return tuple(value for value in values if not isinstance(value, SecretStr))


def _shared(section: type[SectionT], defaults: Section) -> SectionT:
    """The keys of `defaults` that an instance may have for itself; what only an instance has keeps its own default."""
    shared = section.model_fields.keys() & type(defaults).model_fields.keys()
    return section(**{key: getattr(defaults, key) for key in shared})


def _over(defaults: SectionT, overrides: SectionT) -> SectionT:
    written = {
        key: _value_over(getattr(defaults, key), getattr(overrides, key))
        for key in overrides.model_fields_set
    }
    return defaults.model_copy(update=written)


def _value_over(below: object, value: object) -> object:
    """A section within a section is merged as well."""
    return _over(below, value) if isinstance(below, Section) and isinstance(value, Section) else value

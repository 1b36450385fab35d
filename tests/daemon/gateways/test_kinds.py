"""Kinds of gateways: what each must bring, and the one section that holds the keys of all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from daemon.config import Settings
from daemon.gateways.console import Console
from daemon.gateways.evolution.kind import EvolutionSettings
from daemon.gateways.kind import GatewayKind, GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.responders.kind import ProviderKind, ProviderSettings
from daemon.responders.kinds import PROVIDERS
from daemon.schema.fields import Section, with_every_key
from tests.support.pigeon import Pigeon, PigeonSettings

ROOT = Path(__file__).parents[3]
CONFIG = (ROOT / "config.yaml").read_text(encoding="utf-8")
WITH_PIGEON: Mapping[str, GatewayKind[Any]] = {**GATEWAYS, Pigeon.name: Pigeon()}


@pytest.mark.parametrize("kinds", [GATEWAYS, PROVIDERS], ids=["gateways", "providers"])
def test_a_kind_is_registered_under_its_name(kinds: Mapping[str, GatewayKind[Any] | ProviderKind]) -> None:
    assert all(kind.name == name for name, kind in kinds.items())


@pytest.mark.parametrize("kind", GATEWAYS.values(), ids=list(GATEWAYS))
def test_the_shipped_settings_explain_every_gateway_and_its_keys(kind: GatewayKind[Any]) -> None:
    section = re.search(r"^gateway:.*?^(?=\S)", CONFIG, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.search(rf"\b{kind.name}: ", section[0]), f"config.yaml does not say what {kind.name} is"
    assert set(kind.settings.model_fields) <= set(yaml.safe_load(CONFIG)["gateway"])


@pytest.mark.parametrize("kind", PROVIDERS.values(), ids=list(PROVIDERS))
def test_the_shipped_settings_explain_every_provider_and_its_keys(kind: ProviderKind) -> None:
    section = re.search(r"^responder:.*?^(?=\S)", CONFIG, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.search(rf"kind: {kind.name} +# ", section[0]), f"config.yaml does not say what {kind.name} is"
    for key in kind.settings.model_fields:
        assert re.search(rf"\b{key}: ", section[0]), f"config.yaml does not explain {key}"


@pytest.mark.parametrize("missing", ["check", "sender", "parser"])
def test_a_gateway_without_a_part_cannot_be_registered(missing: str) -> None:
    lacking = type("Lacking", (Console,), {missing: getattr(GatewayKind, missing)})
    with pytest.raises(TypeError, match=missing):
        lacking()


@pytest.mark.parametrize("missing", ["check", "provider"])
def test_a_provider_without_a_part_cannot_be_registered(missing: str) -> None:
    lacking = type("Lacking", (type(PROVIDERS["rehearsal"]),), {missing: getattr(ProviderKind, missing)})
    with pytest.raises(TypeError, match=missing):
        lacking()


def test_one_section_holds_the_keys_of_every_kind() -> None:
    """Also those that its kind does not use: the defaults of another instance may have put them there."""
    section = with_every_key(GatewaySettings, WITH_PIGEON)
    read = section.model_validate({"kind": "console", "base_url": "http://x", "loft_url": "http://y"})
    assert isinstance(read, EvolutionSettings) and isinstance(read, PigeonSettings)
    assert (read.base_url, read.loft_url) == ("http://x", "http://y")
    assert section().kind == "console"


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    section = with_every_key(GatewaySettings, WITH_PIGEON)
    *others, last = map(repr, WITH_PIGEON)
    for kind in ("owl", 5, None):
        with pytest.raises(ValidationError, match=f"{', '.join(others)} or {last}"):
            section.model_validate({"kind": kind})


def test_a_provider_must_name_its_kind() -> None:
    section = with_every_key(ProviderSettings, PROVIDERS)
    with pytest.raises(ValidationError, match="Field required"):
        section.model_validate({"name": "main"})


def test_two_kinds_cannot_mean_different_things_by_one_key() -> None:
    class Other(GatewaySettings):
        base_url: int = 5

    class Owl(Pigeon):
        name = "owl"
        settings = Other  # type: ignore[assignment]

    with pytest.raises(TypeError, match="base_url"):
        with_every_key(GatewaySettings, {**GATEWAYS, "owl": Owl()})


def test_the_settings_of_the_daemon_are_put_together_from_the_registries() -> None:
    sections = (Settings.model_fields["gateway"].annotation, Settings().gateway.__class__)
    assert all(isinstance(section, type) and issubclass(section, Section) for section in sections)
    for kind in GATEWAYS.values():
        assert isinstance(Settings().gateway, kind.settings)
    for provider in PROVIDERS.values():
        assert isinstance(Settings().responder.providers[0], provider.settings)

"""The settings in force, and where each came from."""

from __future__ import annotations

from pathlib import Path

from daemon.config import load
from tests.support.operators import Operators


async def test_every_value_in_force_has_its_origin_and_no_secret_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "redis: {url: 'redis://:very-secret@host/0'}\n"
        "responder: {providers: [{name: a, kind: openai, base_url: 'http://x', model: m, api_key: very-secret}]}\n"
        "instances: {acme: {batching: {window_seconds: 2}}}\n"
    )
    settings = load(
        file,
        ["turn.max_tries=5"],
        {"MAJLIS_DRAIN_SECONDS": "7", "MAJLIS_RESPONDER__PROVIDERS__0__MODEL": "large"},
    )
    rows = {row.key: row for row in (await Operators(settings=settings).in_force.page(reveal=True)).values}
    assert not any("very-secret" in row.value for row in rows.values())
    assert {key: (rows[key].value, rows[key].origin) for key in rows if rows[key].origin != "default"} == {
        "redis.url": ("****", str(file)),
        "turn.max_tries": ("5", "--set"),
        "drain_seconds": ("7.0", "environment MAJLIS_DRAIN_SECONDS"),
        "responder.providers.0.name": ("a", str(file)),
        "responder.providers.0.kind": ("openai", str(file)),
        "responder.providers.0.base_url": ("http://x", str(file)),
        "responder.providers.0.api_key": ("****", str(file)),
        "responder.providers.0.model": ("large", "environment MAJLIS_RESPONDER__PROVIDERS__0__MODEL"),
        "instances.acme.batching.window_seconds": ("2.0", str(file)),
    }
    assert rows["postgres.dsn"].value == "embedded"
    assert settings == load(
        file, ["turn.max_tries=5", "drain_seconds=7", "responder.providers.0.model=large"], {}
    )


async def test_phone_numbers_of_staff_are_masked_unless_revealed() -> None:
    settings = load(None, ["escalation.notify_numbers=['5511900000099']"], {})
    for reveal, shown in ((False, False), (True, True)):
        values = (await Operators(settings=settings).in_force.page(reveal)).values
        (numbers,) = [one.value for one in values if one.key == "escalation.notify_numbers"]
        assert ("5511900000099" in numbers) is shown, numbers


async def test_a_number_is_masked_however_it_is_written_and_a_prefix_is_shown() -> None:
    settings = load(None, ["instances.acme.contacts.ignore=['+55 11 90000-0099', '+55 11*']"], {})
    values = (await Operators(settings=settings).in_force.page(False, "acme")).values
    assert [one.value for one in values if one.key == "contacts.ignore"] == ["[…99, +55 11*]"]

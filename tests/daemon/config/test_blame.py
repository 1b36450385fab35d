"""Which origin an error in the settings names, what it shows of the value, and which values exclude each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load
from daemon.config.in_force import in_force

OWN = "name: own, kind: openai, base_url: 'http://own', model: small"
FILE = f"responder: {{providers: [{{{OWN}, timeout_seconds: 5}}]}}\nturn: {{backoff_seconds: [1, 2, 4]}}\n"


def given(tmp_path: Path, text: str, *sets: str, environment: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "given.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, sets, environment or {})


def refusal(tmp_path: Path, text: str, *sets: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        given(tmp_path, text, *sets, environment=environment)
    return str(caught.value)


@pytest.mark.parametrize(
    "assignment",
    [
        "turn.backoff_seconds=[1, -2]",
        "responder.providers=[{name: a, kind: openai}]",
        "responder.providers=[{name: a, kind: rehearsal, timeout_seconds: no}]",
        "responder.providers=[{kind: rehearsal}]",
        "responder.providers=[{name: a, kind: rehearsal, timeout: 3}]",
        "escalation.notify_numbers=['12']",
    ],
)
def test_an_error_in_a_list_names_the_layer_that_set_the_list(tmp_path: Path, assignment: str) -> None:
    """The file also has a list for the key: nothing of it remains."""
    text = FILE + "escalation: {notify_numbers: ['966500000001']}\n"
    said = refusal(tmp_path, text, assignment)
    assert "(from --set)" in said and "given.yaml" not in said


def test_in_a_completed_list_each_value_names_its_own_origin(tmp_path: Path) -> None:
    broken = FILE.replace("model: small", "model: ''").replace("5}", "0}")
    said = refusal(tmp_path, broken, "responder.providers.0.weight=-1")
    faults = dict(line.split(": ", 1) for line in said.splitlines())
    assert faults["responder.providers.0.weight"].endswith("(from --set)")
    assert "given.yaml" in faults["responder.providers.0.timeout_seconds"]


def test_a_default_has_no_origin(tmp_path: Path) -> None:
    said = refusal(tmp_path, "batching: {max_batch_messages: 3}")
    assert said == "batching.max_messages: must be at most max_batch_messages (3); it is 5 (the default)"


def test_no_value_of_a_replaced_list_is_in_force(tmp_path: Path) -> None:
    settings = given(tmp_path, FILE, "responder.providers=[{name: a, kind: rehearsal}]")
    rows = {row.key: row for row in in_force(settings)}
    assert rows["responder.providers.0.name"].origin == "--set"
    assert rows["responder.providers.0.timeout_seconds"] == (
        "responder.providers.0.timeout_seconds",
        "30.0",
        "default",
    )


@pytest.mark.parametrize(
    ("assignment", "shown"),
    [
        ("turn.history_tokens=x", "it is 'x' "),
        ("limits.tokens_per_day=-4", "it is -4 "),
        ("realtime.clients=[{name: a, token: t, may_push: x}]", "it is 'x' "),
        ("responder.providers=[{name: a, kind: rehearsal, price_per_million_input_tokens: x}]", "it is 'x' "),
    ],
)
def test_a_value_is_masked_by_its_meaning_not_by_its_name(
    tmp_path: Path, assignment: str, shown: str
) -> None:
    assert shown in refusal(tmp_path, "", assignment)


@pytest.mark.parametrize(
    "assignment",
    [
        "gateway.api_key=[canary]",
        "gateway.api_key={a: canary}",
        "ingress.auth.token=[a, b, canary]",
        "ingress.auth.jwt_key=[a, b, canary]",
        "ingress.auth.signing_secret=whsec_canary",
        "instances.acme.alerts.signing_secret=[canary]",
        "instances.gateway.gateway.api_key=[canary]",
        "instances.acme.responder.providers=[{name: a, kind: openai, api_key: [canary]}]",
        "realtime.clients=[{name: a, token: {b: canary}}]",
        "gateway.password=canary",
        "gateway.apikey=canary",
        "gatewai={api_key: canary}",
        "strange={deep: {token: canary}}",
        "gateway.client_key=canary",
        "embeddings.api_key=[canary]",
    ],
)
def test_a_secret_is_never_shown_whatever_it_is_called(tmp_path: Path, assignment: str) -> None:
    """I11."""
    assert "canary" not in refusal(tmp_path, "", assignment)


def test_settings_in_force_hide_only_secrets(tmp_path: Path) -> None:
    settings = given(tmp_path, "gateway: {api_key: canary}", "limits.tokens_per_day=500")
    values = {row.key: row.value for row in in_force(settings)}
    assert (values["turn.history_tokens"], values["limits.tokens_per_day"]) == ("800", "500")
    assert values["gateway.api_key"] == "****"


def test_half_configured_embeddings_name_the_missing_half(tmp_path: Path) -> None:
    alone = refusal(tmp_path, "", "embeddings.base_url=http://e/v1")
    assert "embeddings.model: must be set when embeddings.base_url is set" in alone
    alone = refusal(tmp_path, "", "embeddings.model=small")
    assert "embeddings.base_url: must be set when embeddings.model is set" in alone


def test_batching_may_not_wait_longer_than_an_answer_may_take(tmp_path: Path) -> None:
    said = refusal(tmp_path, "responder: {deadline_seconds: 20}", "responder.batching.wait_seconds=20")
    assert "responder.batching.wait_seconds: must be less than deadline_seconds (20.0); it is 20.0" in said
    said = refusal(
        tmp_path, "instances: {acme: {responder: {batching: {wait_seconds: 61, max_conversations: 3}}}}"
    )
    assert said.startswith("instances.acme.responder.batching.wait_seconds: must be less than")


@pytest.mark.parametrize("name", ["cache", "escalation", "fallback", "opt_out"])
def test_a_provider_may_not_have_a_name_of_majlis_own_answers(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, "", f"responder.providers=[{{name: {name}, kind: rehearsal}}]")
    assert (
        f"responder.providers.0.name: must be another name: Majlis' own answers are shown as {name}" in said
    )


@pytest.mark.parametrize("bad", ["12345", "1" * 16, "call me", "0500000001", "+", "966 50 000 000x", ""])
def test_a_staff_number_must_be_a_phone_number(tmp_path: Path, bad: str) -> None:
    """The error names its position, because no error may show a phone number (law 10)."""
    for at in ("", "instances.acme."):
        said = refusal(tmp_path, "", f"{at}escalation.notify_numbers=['966500000001', '{bad}']")
        told = (
            f"{at}escalation.notify_numbers.1: must be a phone number with its country code, 6 to 15 digits, "
        )
        assert said == f"{told}e.g. '966500000001'; it is **** (from --set)"
    assert "4477" not in refusal(tmp_path, "", "escalation.notify_numbers=[447700900001]")
    assert "4477" not in refusal(tmp_path, "", "escalation.notify_number=['447700900001']")


@pytest.mark.parametrize("key", ["cache.similarity", "knowledge.threshold"])
@pytest.mark.parametrize("bad", ["2", "-0.1", "Auto", "true", ".nan", "[0.5]", "null"])
def test_a_threshold_is_auto_or_a_share_and_what_it_is_not_has_one_plain_sentence(
    tmp_path: Path, key: str, bad: str
) -> None:
    said = refusal(tmp_path, "", f"{key}={bad}")
    assert said.startswith(f"{key}: must be auto, or a number from 0 to 1; it is ") and "\n" not in said
    assert given(tmp_path, "", f"{key}=auto", "cache.similarity=1").cache.similarity == 1.0


def test_a_fault_in_a_list_does_not_make_the_list_empty(tmp_path: Path) -> None:
    said = refusal(tmp_path, f"responder: {{providers: [{{{OWN}, temperature: 3}}]}}")
    assert said.startswith("responder.providers.0.temperature: must be") and "\n" not in said
    assert "at least one entry" in refusal(tmp_path, "responder: {providers: []}")


@pytest.mark.parametrize("version", ["2024-10-21", "'2024-10-21'", "2025-01-01-preview"])
def test_a_version_may_be_written_as_the_date_that_it_is(tmp_path: Path, version: str) -> None:
    azure = f"name: a, kind: openai, base_url: 'https://n.openai.azure.com', model: m, api_version: {version}"
    (provider,) = given(tmp_path, f"responder: {{providers: [{{{azure}}}]}}").responder.providers
    assert provider.model_dump()["api_version"] == version.strip("'")


@pytest.mark.parametrize("at", ["", "instances.acme."])
def test_other_names_are_for_known_reasons_and_name_no_other_reason(tmp_path: Path, at: str) -> None:
    said = refusal(tmp_path, "", f"{at}escalation.reason_names={{asks_human: user_request}}")
    assert (
        f"{at}escalation.reason_names.asks_human: must be the name of one of the reasons: asks_for_human, "
        in said
    )
    said = refusal(tmp_path, "", f"{at}escalation.reason_names={{low_quality: sensitive_topic}}")
    assert f"{at}escalation.reason_names.low_quality: must not be the name of another reason" in said


@pytest.mark.parametrize("bad", ["*", "0500*", "0500000001", "call me", "966*50", "12345", ""])
def test_a_listed_contact_must_be_a_number_or_a_prefix(tmp_path: Path, bad: str) -> None:
    for at in ("contacts.ignore", "instances.acme.contacts.allow"):
        said = refusal(tmp_path, "", f"{at}=['966500000001', '96650*', '{bad}']")
        assert said.startswith(f"{at}.2: must be a phone number with its country code") or not bad
        assert "how such numbers begin and *" in said or not bad
        assert "0500" not in said, "no error shows a number (law 10)"


def test_a_number_without_country_code_is_refused_also_without_quotes(tmp_path: Path) -> None:
    """YAML reads 0501234567 as another number, in octal: nobody would be ignored, or somebody else."""
    assert "contacts.ignore.0: must be a phone number with its country code" in refusal(
        tmp_path, "", "contacts.ignore=[0501234567]"
    )


def test_listed_contacts_are_reduced_to_digits(tmp_path: Path) -> None:
    settings = given(tmp_path, "contacts: {ignore: ['+966 50*', 966500000001], allow: ['+20 (100)*']}")
    terms = settings.terms("acme").contacts
    assert (terms.ignore, terms.allow) == (("96650*", "966500000001"), ("20100*",))


def test_staff_numbers_are_reduced_to_digits(tmp_path: Path) -> None:
    settings = given(
        tmp_path, "escalation: {notify_numbers: ['+966 50-000.0001', '(20) 100 000 0002', '15551230003']}"
    )
    assert settings.terms("acme").notify_numbers == ("966500000001", "201000000002", "15551230003")

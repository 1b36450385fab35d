"""The settings for files and the response cache that reach a turn."""

from __future__ import annotations

from pathlib import Path

from actors.instance import Terms
from daemon.config import load

CONFIG = """
embeddings: {base_url: "http://127.0.0.1:1/v1", model: small}
responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: big, system_prompt: Hi.}]}
instances:
  demo: {}
  twin: {limits: {turns_per_minute: 5}}
  other: {cache: {similarity: 0.9, max_entries: 5}, knowledge: {threshold: 0.5, max_passages: 2, max_tokens: 9}}
  model: {responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: small}]}}
  prompt: {responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: big}]}}
  warm: {responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: big, system_prompt: Hi., temperature: 1}]}}
  more: {responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: big, system_prompt: Hi., extra_body: {top_p: 0.5}}]}}
  sent: {responder: {providers: [{name: main, kind: openai, base_url: "http://127.0.0.1:2/v1", model: big, system_prompt: Hi., extra_headers: {x-a: b}}]}}
"""  # noqa: E501


def test_every_instance_has_its_own_terms(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    settings = load(path, ())
    demo, other = settings.terms("demo"), settings.terms("other")
    defaults = Terms()
    assert (demo.knowledge_threshold, demo.cache_similarity) == (
        defaults.knowledge_threshold,
        defaults.cache_similarity,
    )
    assert (other.knowledge_threshold, other.knowledge_max_passages, other.knowledge_max_tokens) == (
        0.5,
        2,
        9,
    )
    assert (other.cache_similarity, other.cache_max_entries) == (0.9, 5)
    assert (
        demo.embedding_model == other.embedding_model == settings.terms("unknown").embedding_model == "small"
    )


def test_the_providers_determine_the_scope(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    settings, names = load(path, ()), ("demo", "twin", "sent", "model", "prompt", "warm", "more")
    scopes = {name: settings.terms(name).cache_scope for name in names}
    assert scopes["demo"] == scopes["twin"] == scopes["sent"]
    assert len(set(scopes.values())) == 5

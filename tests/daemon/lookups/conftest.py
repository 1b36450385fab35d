"""Fixtures for tests of the lookups that search files or the response cache."""

from tests.support.shelf import by_meaning, by_words, embeddings, http, patient, server, world

__all__ = ["by_meaning", "by_words", "embeddings", "http", "patient", "server", "world"]

"""Which instance a name in a path means."""

from __future__ import annotations

import time
import unicodedata

import pytest

from daemon.ingress.known_instances import KnownInstances


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("shop", "shop"),
        ("SHOP", "shop"),
        ("Twin", "Twin"),
        ("twin", "twin"),
        ("TWIN", "TWIN"),  # two it may be: as it is written
        ("strasse", "Straße"),
        (unicodedata.normalize("NFD", "CAFÉ"), "café"),
        ("shop2", "shop2"),
        ("", ""),
    ],
)
def test_a_name_in_another_case_means_the_only_one_that_fits(written: str, meant: str) -> None:
    known = KnownInstances({"shop", "Twin", "twin", "Straße", "café"})
    assert known.meant(written) == meant


def test_stored_names_come_and_go_and_declared_ones_stay() -> None:
    known = KnownInstances({"shop"})
    known.learn(("Acme",))
    assert "Acme" in known and known.meant("acme") == "Acme"
    known.learn(())
    assert "Acme" not in known and known.meant("acme") == "acme" and "shop" in known


def test_a_name_too_long_for_an_instance_costs_nothing() -> None:
    """I8: to put marks in their canonical order takes quadratic time, and anybody may write a path."""
    hostile = "a" + "̧́" * 25_000
    began = time.process_time()
    assert KnownInstances({"shop"}).meant(hostile) == hostile
    assert time.process_time() - began < 0.5

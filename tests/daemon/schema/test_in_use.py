"""What is made of settings: shared by equal ones, made when needed, and gone when nobody has them any more."""

from __future__ import annotations

from daemon.schema.in_use import InUse


class Made:
    def __init__(self, settings: str) -> None:
        self.settings = settings


def test_equal_settings_share_what_is_made_of_them() -> None:
    objects = InUse[str, Made](Made)
    assert len(objects) == 0, "nothing is made before it is needed"
    assert objects.of("a") is objects.of("a") and objects.of("a") is not objects.of("b")
    with objects.call("a") as called:
        assert called is objects.of("a")


def test_what_no_settings_ask_for_goes_and_a_call_ends_in_what_it_began_in() -> None:
    objects = InUse[str, Made](Made)
    with objects.call("old") as first:
        with objects.call("old") as second:
            objects.keep({"new"})
            assert first is second is objects.of("old"), "who comes back meanwhile finds the same one"
        assert len(objects) == 1, "one call still runs"
    assert len(objects) == 0
    assert objects.of("old") is not first


def test_settings_that_come_back_while_a_call_runs_keep_what_was_made() -> None:
    objects = InUse[str, Made](Made)
    with objects.call("a") as made:
        objects.keep({"b"})
        objects.keep({"a"})
    assert objects.of("a") is made


def test_however_often_settings_change_no_more_is_kept_than_is_in_force_or_runs() -> None:
    objects = InUse[str, Made](Made)
    with objects.call("running"):
        for number in range(10_000):
            objects.keep({f"settings {number}"})
            objects.of(f"settings {number}")
            with objects.call(f"settings {number - 1}"):  # of a turn that began before
                assert len(objects) == 3
            assert len(objects) == 2

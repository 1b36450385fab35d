from __future__ import annotations

from daemon.ingress.lately import Lately


def test_what_is_remembered_is_bounded_and_the_newest_is_always_known() -> None:
    """I8: twice the bound at the most."""
    lately = Lately[int](10)
    for number in range(100):
        lately.note("demo", f"M{number}", number)
        known = [one for one in range(number + 1) if lately.get("demo", f"M{one}") == one]
        assert known[-10:] == list(range(max(0, number - 9), number + 1))
        assert len(known) <= 20
    assert lately.get("other", "M99") is None

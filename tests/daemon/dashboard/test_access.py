"""Login links and sessions: good once, bounded in number and time."""

from __future__ import annotations

from daemon.dashboard.access import (
    MAX_FAILURES_PER_MINUTE,
    MAX_LINKS,
    MAX_SESSIONS,
    Access,
    LoginGrant,
)

LINK = LoginGrant("operate", "uid 1000")


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def opened(access: Access, token: str) -> str:
    found = access.open(token)
    assert found is not None
    return found[0]


def test_a_link_opens_one_session_of_its_level() -> None:
    access = Access(60.0, 600.0, Clock())
    token = access.link(LINK)
    found = access.open(token)
    assert found is not None
    cookie, session, link = found
    assert (session.level, link) == ("operate", LINK)
    assert access.of(cookie) is session and access.sessions == 1
    assert access.open(token) is None
    assert token not in repr(vars(access)) and cookie not in repr(vars(access))


def test_a_link_waits_its_time_and_a_session_lasts_its_own() -> None:
    clock = Clock()
    access = Access(60.0, 600.0, clock)
    early, late = access.link(LINK), access.link(LINK)
    clock.seconds += 59.9
    cookie = opened(access, early)
    clock.seconds += 0.1
    assert access.open(late) is None
    session = access.of(cookie)
    assert session is not None and access.is_open(session)
    clock.seconds += 599.8
    assert access.of(cookie) is session
    clock.seconds += 0.1
    assert access.of(cookie) is None and not access.is_open(session) and access.sessions == 0


def test_what_was_logged_out_stays_out() -> None:
    access = Access(60.0, 600.0, Clock())
    cookie = opened(access, access.link(LINK))
    session = access.close(cookie)
    assert session is not None and not access.is_open(session)
    assert access.of(cookie) is None and access.close(cookie) is None


def test_of_too_many_the_oldest_leaves() -> None:
    access = Access(60.0, 600.0, Clock())
    tokens = [access.link(LINK) for _ in range(MAX_LINKS + 1)]
    assert access.open(tokens[0]) is None
    cookies = [opened(access, token) for token in tokens[1:]]
    assert access.sessions == MAX_SESSIONS
    cookies.append(opened(access, access.link(LINK)))
    assert access.sessions == MAX_SESSIONS
    assert access.of(cookies[0]) is None and access.of(cookies[-1]) is not None


def test_wrong_tokens_are_counted_and_keep_no_right_one_out() -> None:
    clock = Clock()
    access = Access(60.0, 600.0, clock)
    token = access.link(LINK)
    for number in range(MAX_FAILURES_PER_MINUTE):
        assert not access.is_guessed()
        assert access.open(f"wrong {number} \ud800") is None
    assert access.is_guessed()
    assert access.of(opened(access, token)) is not None
    clock.seconds += 60
    assert not access.is_guessed()

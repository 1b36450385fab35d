"""Login links and sessions: links are valid once; both are limited in number and time."""

from __future__ import annotations

from daemon.dashboard.access import (
    MAX_FAILURES_PER_MINUTE,
    MAX_LINKS,
    MAX_SESSIONS,
    Access,
    LoginGrant,
)

GRANT = LoginGrant("operate", "uid 1000")


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
    token = access.link(GRANT)
    found = access.open(token)
    assert found is not None
    cookie, session, grant = found
    assert (session.level, grant) == ("operate", GRANT)
    assert access.of(cookie) is session and access.sessions == 1
    assert access.open(token) is None
    assert token not in repr(vars(access)) and cookie not in repr(vars(access))


def test_links_and_sessions_expire() -> None:
    clock = Clock()
    access = Access(60.0, 600.0, clock)
    early, late = access.link(GRANT), access.link(GRANT)
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


def test_a_closed_session_cannot_be_used_again() -> None:
    access = Access(60.0, 600.0, Clock())
    cookie = opened(access, access.link(GRANT))
    session = access.close(cookie)
    assert session is not None and not access.is_open(session)
    assert access.of(cookie) is None and access.close(cookie) is None


def test_beyond_the_limits_the_oldest_link_or_session_ends() -> None:
    access = Access(60.0, 600.0, Clock())
    tokens = [access.link(GRANT) for _ in range(MAX_LINKS + 1)]
    assert access.open(tokens[0]) is None
    cookies = [opened(access, token) for token in tokens[1:]]
    assert access.sessions == MAX_SESSIONS
    cookies.append(opened(access, access.link(GRANT)))
    assert access.sessions == MAX_SESSIONS
    assert access.of(cookies[0]) is None and access.of(cookies[-1]) is not None


def test_invalid_tokens_are_counted_and_never_block_a_valid_one() -> None:
    clock = Clock()
    access = Access(60.0, 600.0, clock)
    token = access.link(GRANT)
    for number in range(MAX_FAILURES_PER_MINUTE):
        assert not access.has_many_failures()
        assert access.open(f"wrong {number} \ud800") is None
    assert access.has_many_failures()
    assert access.of(opened(access, token)) is not None
    clock.seconds += 60
    assert not access.has_many_failures()

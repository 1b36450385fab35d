"""Login links and sessions: links are valid once; both are limited in number and time."""

from __future__ import annotations

from collections import Counter

from daemon.dashboard.access import (
    MAX_FAILURES_PER_MINUTE,
    MAX_LINKS,
    MAX_SESSIONS,
    Access,
    DashboardSession,
    LoginGrant,
)

GRANT = LoginGrant("operate", "uid 1000")


class Stream:
    ended = 0

    def end(self) -> None:
        self.ended += 1


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
    cookie, session = found
    assert (session.level, session.asked_by) == GRANT
    assert access.of(cookie) is session and access.sessions == [session]
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
    assert access.of(cookie) is None and not access.is_open(session) and access.sessions == []


def test_a_closed_session_cannot_be_used_again() -> None:
    access = Access(60.0, 600.0, Clock())
    cookie = opened(access, access.link(GRANT))
    session = access.log_out(cookie)
    assert session is not None and not access.is_open(session)
    assert access.of(cookie) is None and access.log_out(cookie) is None


def test_beyond_the_limits_the_oldest_link_or_session_ends() -> None:
    access = Access(60.0, 600.0, Clock())
    tokens = [access.link(GRANT) for _ in range(MAX_LINKS + 1)]
    assert access.open(tokens[0]) is None
    cookies = [opened(access, token) for token in tokens[1:]]
    assert len(access.sessions) == MAX_SESSIONS
    cookies.append(opened(access, access.link(GRANT)))
    assert len(access.sessions) == MAX_SESSIONS
    assert access.of(cookies[0]) is None and access.of(cookies[-1]) is not None


def test_nobody_pushes_out_another_who_has_fewer() -> None:
    """A user who may only look cannot log the others out, nor use up the links they were given."""
    access = Access(60.0, 600.0, Clock())
    admin, reader = LoginGrant("admin", "uid 0"), LoginGrant("read", "uid 1000")
    unused, cookie = access.link(admin), opened(access, access.link(admin))
    for _ in range(2 * MAX_SESSIONS):
        last = opened(access, access.link(reader))
    for _ in range(2 * MAX_LINKS):
        access.link(reader)
    cookies = [cookie, last, opened(access, unused)]
    assert all(access.of(each) for each in cookies)
    assert len(access.sessions) == MAX_SESSIONS
    third = LoginGrant("operate", "uid 7")
    more = [opened(access, access.link(third)) for _ in range(MAX_SESSIONS)]
    held = Counter(session.asked_by for session in access.sessions)
    assert held == {"uid 0": 2, "uid 1000": 49, "uid 7": 49}
    assert access.of(more[0]) is None and access.of(more[-1]) is not None, (
        "then it is his own oldest that goes"
    )


def test_whatever_ends_a_session_is_told_and_ends_its_streams() -> None:
    clock, ended = Clock(), list[str]()
    access = Access(60.0, 600.0, clock, lambda session: ended.append(session.name))
    streams = [Stream() for _ in range(4)]

    def log_in(stream: Stream) -> tuple[str, DashboardSession]:
        found = access.open(access.link(GRANT))
        assert found is not None
        found[1].streams.add(stream)
        return found

    (cookie, first), (_, second), (_, third) = map(log_in, streams[:3])
    access.log_out(cookie)
    access.close(second)
    access.close(second)
    clock.seconds += 600
    assert access.sessions == []
    _, fourth = log_in(streams[3])
    for _ in range(MAX_SESSIONS):
        opened(access, access.link(GRANT))
    assert ended == [session.name for session in (first, second, third, fourth)]
    assert [stream.ended for stream in streams] == [1, 1, 1, 1]


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

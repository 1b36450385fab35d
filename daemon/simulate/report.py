"""The report of a rehearsal: numbers for programs; text with two small histograms for people, 80 columns wide. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from daemon.simulate.books import Books
from daemon.simulate.latencies import Summary
from daemon.simulate.tokens import contact_of

MAX_EXAMPLES = 5
_BAR_COLUMNS = 40
_LABEL_COLUMNS = 15


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the messages of a rehearsal."""

    seed: int
    customers: int
    seconds: float
    """The duration, including the wait for the last answers."""
    sending_seconds: float
    interrupted: bool
    restarts: tuple[float, ...]
    """For each SIGKILL of the daemon, the seconds until it was ready again."""
    sent: int
    repeated: int
    """Messages delivered a second time on purpose."""
    acknowledged: int
    troubles: Mapping[str, int]
    """Deliveries that were not acknowledged and were retried, by response."""
    given_up: int
    answered: int
    replies: int
    lost: int
    waiting: int
    """Acknowledged and not answered yet, but not for long enough to be lost: only after an interrupt."""
    doubled: int
    out_of_order: int | None
    """None: unknown, because the replies do not repeat what they answer."""
    unmatched: int
    """Replies that mention no message of this rehearsal."""
    strangers: int
    """Replies to people outside the rehearsal; they were refused."""
    examples: tuple[str, ...]
    """Some of the conversations with faults, as `INSTANCE/PHONE`."""
    ack: Summary
    answer: Summary

    @property
    def is_faultless(self) -> bool:
        return not (self.lost or self.given_up or self.doubled or self.out_of_order)


def report_of(
    books: Books,
    now: float,
    *,
    seed: int,
    customers: int,
    seconds: float,
    interrupted: bool = False,
    restarts: tuple[float, ...] = (),
    echo: bool = True,
    strangers: int = 0,
    instance: str = "demo",
) -> Report:
    """Draw up the report from the books."""
    lost, given_up = list(books.lost(now)), list(books.given_up())
    return Report(
        seed=seed,
        customers=customers,
        seconds=round(seconds, 3),
        sending_seconds=round(books.sending_seconds, 3),
        interrupted=interrupted,
        restarts=tuple(round(restart, 3) for restart in restarts),
        sent=books.sent,
        repeated=books.repeated,
        acknowledged=books.acknowledged,
        troubles=dict(books.troubles.most_common()),
        given_up=len(given_up),
        answered=books.answered,
        replies=books.replies,
        lost=len(lost),
        waiting=books.waiting - len(lost),
        doubled=books.doubled,
        out_of_order=books.out_of_order if echo else None,
        unmatched=books.unmatched,
        strangers=strangers,
        examples=_examples([*lost, *given_up], instance),
        ack=books.ack.summary(),
        answer=books.answer.summary(),
    )


def text_of(report: Report) -> str:
    """The report as text; no line is longer than 80 columns."""
    return "\n".join(
        [
            *_headline(report),
            "",
            *(f"{name:<14}{words}" for name, words in _counts(report)),
            *_latencies("acknowledged in", "from when a message was due to its 200", report.ack),
            *_latencies("answered in", "from a reply's first message to the reply", report.answer),
            *_verdict(report),
        ]
    )


def _examples(faults: Iterable[tuple[int, int]], instance: str) -> tuple[str, ...]:
    people = dict.fromkeys(customer for customer, _ in faults)
    return tuple(f"{instance}/{contact_of(customer)}" for customer in list(people)[:MAX_EXAMPLES])


def _headline(report: Report) -> Iterator[str]:
    rate = report.sent / report.sending_seconds if report.sending_seconds else 0.0
    yield f"{report.customers:,} customers, seed {report.seed}{', interrupted' * report.interrupted}"
    yield f"{report.sent:,} messages in {report.sending_seconds:,.1f} s ({rate:,.1f}/s)"
    for seconds in report.restarts:
        yield f"The daemon was killed half way and was ready again after {seconds:.1f} s."


def _counts(report: Report) -> Iterator[tuple[str, str]]:
    yield "sent", f"{report.sent:,}, {report.repeated:,} of them twice"
    yield "acknowledged", f"{report.acknowledged:,}{', all' * (report.acknowledged == report.sent)}"
    for what, times in report.troubles.items():
        yield "", f"{times:,} × {what}, then retried"
    if report.given_up:
        yield "given up", f"{report.given_up:,} that the gateway could not deliver in ten attempts"
    yield "answered", f"{report.answered:,} by {report.replies:,} replies"
    if report.waiting:
        yield "waiting", f"{report.waiting:,} not answered yet"
    yield "lost", _none(report.lost)
    yield "doubled", _none(report.doubled)
    yield "out of order", "not checked" if report.out_of_order is None else _none(report.out_of_order)
    if report.unmatched:
        yield "unmatched", f"{report.unmatched:,} replies that mention no message of this rehearsal"
    if report.strangers:
        yield (
            "strangers",
            f"{report.strangers:,} replies to others, refused; the daemon keeps them",
        )


def _none(number: int) -> str:
    return f"{number:,}" if number else "none"


def _latencies(name: str, meaning: str, summary: Summary) -> Iterator[str]:
    if not summary.count:
        return
    yield ""
    yield f"{name} ({meaning})"
    yield (
        f"  p50 {_time(summary.p50_seconds)}   p95 {_time(summary.p95_seconds)}"
        f"   p99 {_time(summary.p99_seconds)}   longest {_time(summary.max_seconds)}"
    )
    most = max(row.count for row in summary.histogram)
    for row in summary.histogram:
        bar = "█" * -(-row.count * _BAR_COLUMNS // most)
        label = f"up to {_time(row.up_to_seconds)}"
        yield f"  {label:>{_LABEL_COLUMNS}} {bar:<{_BAR_COLUMNS}} {row.count:,}".rstrip()


def _verdict(report: Report) -> Iterator[str]:
    yield ""
    if report.is_faultless:
        yield "Nothing was lost." if not report.interrupted else "Nothing was lost so far."
        return
    found = (
        (report.lost, "lost"),
        (report.given_up, "given up"),
        (report.doubled, "doubled"),
        (report.out_of_order, "out of order"),
    )
    yield f"This must not happen: {', '.join(fault for number, fault in found if number)}."
    for example in report.examples:
        yield f"  majlis show {example}"


def _time(seconds: float) -> str:
    """Two significant digits, which is more than the precision of the buckets."""
    if seconds < 1:
        return f"{_two_digits(seconds * 1000)} ms"
    return f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"

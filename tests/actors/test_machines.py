"""Who is a machine and who is not: transcripts of persons and of machines of several sorts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice

import pytest

from actors.instance import MachineTerms
from actors.machines import Exchange, Pace, Recent, Remark, judge, run_length

TERMS = MachineTerms()
START_MS = 1_790_000_000_000
TURN_MS = 9_000
"""From a message to our reply: the window, and the model."""

Beat = tuple[float, tuple[Remark, ...], str]
"""How long after our last reply it came, what came, and what we reply."""


def text(*said: str) -> tuple[Remark, ...]:
    return tuple(map(Remark, said))


def talk(beats: Iterator[Beat], length: int = 31, parts: int = 1) -> Recent:
    """A conversation of so many exchanges; the last one is the turn that is judged."""
    exchanges, free_ms = [], START_MS
    for seconds, said, reply in islice(beats, length):
        opened_ms = free_ms + round(seconds * 1000)
        claimed_ms = max(opened_ms + TURN_MS, free_ms)
        left = tuple((claimed_ms + 800 * part, claimed_ms + 800 * part + 300) for part in range(parts))
        exchanges.append(Exchange(opened_ms, said, reply, left))
        free_ms = left[-1][1]
    exchanges[-1] = Exchange(exchanges[-1].opened_ms, exchanges[-1].said)
    return Recent(at_ms=exchanges[-1].opened_ms + TURN_MS, exchanges=tuple(exchanges))


ASSISTANT = (
    "Thanks for your message! Our shop is open from nine to six. What would you like to know about our products?",
    "Of course. The blue dress costs 120 riyals and we deliver to every city within three days. Shall I order it?",
    "Great choice! Please tell me your address and the size, and I will prepare the order for you right away.",
    "You are welcome! If there is anything else that I can do for you today, please just let me know.",
    "I am glad that I could help you. Is there something else about the order that you want to change?",
)
DRAW = 11
"""Of every random transcript: they are the same each time."""


# Machines


def autoresponder() -> Iterator[Beat]:
    """It answers each of our messages within a second."""
    draw = random.Random(DRAW)
    for reply, number in zip(cycle(ASSISTANT), count(4711)):
        said = f"Thank you for contacting us! Your ticket #{number} of 30/11/2026 {number % 24}:15 is open."
        yield draw.uniform(0.2, 1.2), text(said), reply


def arabic_autoresponder() -> Iterator[Beat]:
    draw = random.Random(DRAW)
    for reply in cycle(
        ("أهلاً بك، كيف يمكنني مساعدتك اليوم في متجرنا؟", "شكراً لك، هل تريد معرفة شيء آخر عن المنتجات؟")
    ):
        yield draw.uniform(0.5, 1.8), text("شكراً لتواصلكم معنا، سنقوم بالرد عليكم في أقرب وقت ممكن"), reply


def portuguese_menu() -> Iterator[Beat]:
    """A menu that understands nothing: two texts in turn, always after five seconds."""
    draw = random.Random(DRAW)
    said = cycle(
        (
            "Opção inválida. Por favor, escolha uma das opções: 1 vendas, 2 suporte, 3 financeiro",
            "Não entendi. Digite o número da opção desejada ou zero para voltar ao menu inicial",
        )
    )
    for reply in cycle(
        ("Olá! Em que posso ajudar você hoje?", "Claro, posso ajudar com isso. Qual é o seu pedido?")
    ):
        yield 5 + draw.uniform(-0.3, 0.3), text(next(said)), reply


def two_messages_each() -> Iterator[Beat]:
    for reply in cycle(ASSISTANT):
        yield (
            1.0,
            text("Obrigado pela sua mensagem!", "Nosso horário é das 9h às 18h, de segunda a sexta."),
            reply,
        )


def another_majlis() -> Iterator[Beat]:
    """A window of eight seconds and a model on the other side as well; every text is a new one."""
    draw = random.Random(DRAW)
    things = (
        "dress",
        "shirt",
        "order",
        "size",
        "colour",
        "delivery",
        "address",
        "price",
        "shop",
        "card",
        "gift",
    )
    for reply in cycle(ASSISTANT):
        named = draw.sample(things, 8)
        said = f"That sounds good, and about the {' and the '.join(named)}: can you tell me more, please?"
        yield 8 + draw.uniform(1, 5), text(said), reply


def two_polite_machines() -> Iterator[Beat]:
    """They have come to an end, and thank each other since."""
    draw = random.Random(DRAW)
    said = cycle(
        ("You're welcome! Have a great day!", "Thank you! Have a great day too!", "Have a wonderful day!")
    )
    for reply in cycle(("You're welcome! Enjoy your day!", "Thank you as well, have a great day!")):
        yield 8 + draw.uniform(1.0, 2.0), text(next(said)), reply


def mirror() -> Iterator[Beat]:
    """It sends our own words back."""
    before, draw = "hello", random.Random(DRAW)
    for reply in cycle(ASSISTANT):
        yield draw.uniform(0.5, 20), text(f"You said: {before}"), reply
        before = reply


def mirror_of_a_form() -> Iterator[Beat]:
    before = "-"
    for reply, number in zip(cycle(ASSISTANT), count(100)):
        yield 12.0, text(f"Re: ticket {number}\n> {before}\nReceived, thank you."), reply
        before = reply


def slow_robot() -> Iterator[Beat]:
    """It looks into its mailbox once in four minutes."""
    for reply, number in zip(cycle(ASSISTANT), count(1)):
        yield (
            240.0,
            text(f"This is an automatic message no. {number}, please do not reply to this number."),
            reply,
        )


def menu() -> Iterator[Beat]:
    """The choices of a bank's assistant, again and again: it sends a list, nobody taps on one."""
    draw = random.Random(DRAW)
    for reply in cycle(ASSISTANT):
        said = Remark("Welcome to the bank of the city\nAccounts / Cards / Talk to us", "menu")
        yield draw.uniform(0.5, 1.5), (said,), reply


# People


def form() -> Iterator[Beat]:
    """Thirty short answers, one after another, at an even pace."""
    draw = random.Random(DRAW)
    answers = ("yes", "no", "Ahmed", "1988", "Riyadh", "yes", "12", "blue", "M", "0500000001", "none", "yes")
    for number, answer in zip(count(1), cycle(answers)):
        yield (
            draw.uniform(3, 7),
            text(answer),
            f"Thank you. Question {number} of 40: what else shall we know?",
        )


def numbers_only() -> Iterator[Beat]:
    """A clerk who reads a list to us."""
    draw = random.Random(DRAW)
    for number in count(10):
        yield draw.uniform(2.5, 6), text(str(number * 37)), f"Noted: {number * 37}. The next one, please."


def stock_of_items() -> Iterator[Beat]:
    """The same sentence with another number each time."""
    draw = random.Random(DRAW)
    for number in count(1200):
        yield (
            draw.uniform(5, 12),
            text(f"is item {number} available now?"),
            f"Item {number} is available, yes.",
        )


def list_of_links() -> Iterator[Beat]:
    """Pasted, so it comes faster than it could be typed."""
    draw = random.Random(DRAW)
    for number in count(1):
        link = f"https://shop.example/ar/products/summer-dress-{number}?colour=blue&size=medium"
        yield draw.uniform(3, 6), text(f"how much {link}"), f"This dress costs {number} riyals. Another one?"


def list_of_pasted_questions() -> Iterator[Beat]:
    draw = random.Random(DRAW)
    for number in count(1):
        said = f"Please tell me the price of article {number} and whether you deliver it to Jeddah"
        yield draw.uniform(3, 30), text(said), f"Article {number} costs {number} riyals."


def owner_who_tries_it_out() -> Iterator[Beat]:
    """Somebody who tries it out: the next question of a sheet is copied, and pasted as soon as the reply is there."""
    draw = random.Random(DRAW)
    words = [
        "price",
        "size",
        "colour",
        "delivery",
        "shop",
        "order",
        "return",
        "card",
        "voucher",
        "fabric",
        "opening",
        "parking",
        "address",
    ]
    for reply in cycle(ASSISTANT):
        said = f"What about {' and '.join(draw.sample(words, 5))}, can you tell me?"
        yield draw.uniform(3, 5), text(said), reply


def dictator() -> Iterator[Beat]:
    """Speaks into the keyboard, in one breath after the other."""
    draw = random.Random(DRAW)
    said = [
        "طيب",
        "لو",
        "سمحت",
        "ابي",
        "اعرف",
        "سعر",
        "الفستان",
        "الازرق",
        "وكم",
        "التوصيل",
        "للرياض",
        "ومتى",
        "يوصل",
        "لو",
        "طلبت",
        "اليوم",
    ]
    for reply in cycle(ASSISTANT):
        yield draw.lognormvariate(1.7, 0.2), text(" ".join(draw.sample(said, draw.randint(9, 16)))), reply


def pictures() -> Iterator[Beat]:
    """Thirty pictures over a slow line, each as long under way as the one before."""
    draw = random.Random(DRAW)
    for reply in cycle(ASSISTANT):
        yield draw.uniform(0.9, 1.6), (Remark("[image; it cannot be seen here]", "image"),), reply


def documents() -> Iterator[Beat]:
    draw = random.Random(DRAW)
    for reply, number in zip(cycle(ASSISTANT), count(1)):
        name = (
            f"Statement of the account of the company for the quarter, signed and scanned, {number} of 40.pdf"
        )
        said = Remark(f"[document: {name}; it cannot be read here]", "document")
        yield draw.uniform(3.5, 4.5), (said,), reply


def shopper() -> Iterator[Beat]:
    """Puts one thing after another into the cart."""
    for reply in cycle(ASSISTANT):
        yield 1.5, (Remark("[order: shop, 1 item, total 20 SAR] from the catalogue", "order"),), reply


def talker() -> Iterator[Beat]:
    """Whole sentences in Arabic, at a person's pace."""
    draw = random.Random(DRAW)
    said = cycle(
        (
            "السلام عليكم كيف حالكم",
            "ابي اعرف سعر الفستان الازرق لو سمحت",
            "طيب وكم التوصيل للرياض؟",
            "عندكم مقاس كبير؟",
            "متى يوصل لو طلبت اليوم؟",
            "شكرا لكم الله يعطيكم العافية",
        )
    )
    for reply in cycle(ASSISTANT):
        yield draw.lognormvariate(2.5, 0.8), text(next(said)), reply


def typist() -> Iterator[Beat]:
    """Ten fingers, eighty words a minute, and the next sentence at once."""
    draw, words = (
        random.Random(DRAW),
        ("the", "order", "which", "delivery", "please", "about", "colour", "and", "size"),
    )
    for reply in cycle(ASSISTANT):
        said = " ".join(draw.choices(words, k=draw.randint(7, 18)))
        yield draw.uniform(1, 3) + len(said) / 6.7, text(said), reply


def sticker_child() -> Iterator[Beat]:
    """Stickers without end: some come while we answer, some in the moment after it."""
    draw = random.Random(DRAW)
    for reply in cycle(ASSISTANT):
        yield (
            draw.choice((-3.0, 0.4, 1.0, 1.5)),
            tuple(Remark("[sticker]", "sticker") for _ in range(5)),
            reply,
        )


def laughing_child() -> Iterator[Beat]:
    for reply in cycle(ASSISTANT):
        yield 0.7, text(*["hahaha you are a funny robot hahaha"] * 5), reply


def impatient() -> Iterator[Beat]:
    """The same question again and again, without waiting for the answer."""
    draw = random.Random(DRAW)
    for reply in cycle(ASSISTANT):
        yield draw.uniform(-6, 3), text("hello where is my order please answer me"), reply


def voices() -> Iterator[Beat]:
    """What is heard in a voice note comes faster than it could be typed."""
    draw = random.Random(DRAW)
    for reply, number in zip(cycle(ASSISTANT), count(1)):
        said = f"Hello, so I wanted to ask about the thing number {number} that we talked about last week in the shop"
        yield draw.uniform(6, 9), (Remark(said, "voice"),), reply


def buttons() -> Iterator[Beat]:
    """Somebody taps through a menu, faster than one can read."""
    choice = cycle(("Back to the main menu", "Show me more of this", "Next page of the list"))
    for reply in cycle(ASSISTANT):
        yield 1.2, (Remark(next(choice), "button"),), reply


def asks_about_our_text() -> Iterator[Beat]:
    """Now and then our text is pasted, with a question about it."""
    draw, before = random.Random(DRAW), ASSISTANT[0]
    for number, reply in zip(count(), cycle(ASSISTANT)):
        said = f'"{before}" what does that mean?' if number % 3 == 0 else "ok and then?"
        yield draw.uniform(5, 40), text(said), reply
        before = reply


def found_later() -> Iterator[Beat]:
    """A backlog from the gateway's records: when it came is not known."""
    for reply in cycle(ASSISTANT):
        yield 0.1, (Remark("Thank you for contacting us, we will be back", swept=True),), reply


MACHINES = (
    (autoresponder, "instant same"),
    (arabic_autoresponder, "instant same"),
    (portuguese_menu, "steady same"),
    (two_messages_each, "instant same"),
    (another_majlis, "fluent even"),
    (two_polite_machines, "steady same"),
    (mirror, "echo"),
    (mirror_of_a_form, "echo"),
    (slow_robot, "steady same"),
    (menu, "instant same"),
)
PEOPLE = (
    form,
    numbers_only,
    stock_of_items,
    list_of_links,
    list_of_pasted_questions,
    owner_who_tries_it_out,
    dictator,
    pictures,
    documents,
    shopper,
    talker,
    typist,
    sticker_child,
    laughing_child,
    impatient,
    voices,
    buttons,
    asks_about_our_text,
    found_later,
)


@pytest.mark.parametrize(("machine", "signs"), MACHINES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_machine_is_silenced_after_thirty_replies_and_not_before(
    machine: Callable[[], Iterator[Beat]], signs: str
) -> None:
    found = judge(talk(machine()), TERMS)
    assert found.silent
    assert (found.silence_seconds, found.times) == (3_600, 1)
    assert set(found.signs) >= set(signs.split()), found.signs
    assert len(found.signs) > 1
    assert not judge(talk(machine(), 30), TERMS).silent


@pytest.mark.parametrize("person", PEOPLE, ids=lambda one: one.__name__)
@pytest.mark.parametrize("length", [31, 61])
def test_a_person_is_never_silenced(person: Callable[[], Iterator[Beat]], length: int) -> None:
    found = judge(talk(person(), length), TERMS)
    assert not found.silent
    assert found.signs == ()


def test_an_answer_to_each_part_is_an_answer() -> None:
    """It may come before our last part has left, and before the gateway has confirmed the one it answers."""
    first = (START_MS, START_MS + 900)
    second = (START_MS + 1_500, START_MS + 2_400)
    said = text("Thank you for contacting us, we will be back")
    exchanges = [
        Exchange(
            START_MS + 20_000 * n + delay,
            said,
            "hello",
            tuple((a + 20_000 * n + 9_000, b + 20_000 * n + 9_000) for a, b in (first, second)),
        )
        for n, delay in zip(range(31), cycle((-10_300, -10_800, -9_000)))
    ]
    recent = Recent(at_ms=exchanges[-1].opened_ms + TURN_MS, exchanges=tuple(exchanges))
    assert {"instant", "same"} <= set(judge(recent, TERMS).signs)


def test_many_replies_are_an_alert_and_no_silence() -> None:
    slow, fast = talk(form(), 31), talk(numbers_only(), 41)
    assert judge(slow, TERMS) == Pace(replies=30)
    assert judge(fast, TERMS).replies >= 30
    assert judge(talk(form(), 30), TERMS) == Pace()
    assert judge(talk(slow_robot()), TERMS).replies == 0, "thirty replies, but in two hours"


def test_a_pause_ends_a_run() -> None:
    """Machines that answer at all answer soon; what was before a pause is another talk."""
    paused = cycle([*[False] * 20, True])
    beats = ((700.0 if next(paused) else seconds, said, reply) for seconds, said, reply in autoresponder())
    assert not judge(talk(beats, 60), TERMS).silent


def test_the_next_silence_comes_sooner_and_is_longer() -> None:
    assert [run_length(30, times) for times in (0, 1, 5)] == [30, 7, 7]
    assert [run_length(10, times) for times in (0, 1)] == [10, 5]
    again = talk(autoresponder(), 8)
    assert not judge(again, TERMS).silent
    lengths = []
    for times in (1, 2, 4, 5, 40):
        found = judge(Recent(at_ms=again.at_ms, times=times, exchanges=again.exchanges), TERMS)
        assert found.times == times + 1
        lengths.append(found.silence_seconds / 3_600)
    assert lengths == [2, 4, 16, 24, 24]
    long = MachineTerms(silence_seconds=200_000)
    assert (
        judge(Recent(at_ms=again.at_ms, times=2, exchanges=again.exchanges), long).silence_seconds == 200_000
    )


def test_a_silence_in_force_is_heeded_without_a_look_at_what_was_said() -> None:
    assert judge(Recent(silent=True), TERMS) == Pace(silent=True)
    assert judge(Recent(), TERMS) == Pace()


def test_the_same_talk_has_the_same_verdict() -> None:
    """I3: a turn that is tried again after a crash ends as it did."""
    recent = talk(another_majlis())
    assert judge(recent, TERMS) == judge(recent, TERMS) != Pace()

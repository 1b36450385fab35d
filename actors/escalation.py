"""When a person of the business should take the conversation. Pure, total.

Laws of this file:
1. The rules are asked in the order of `RULES`; the first that holds gives the reason.
2. What a customer asks for is read by its sense (`actors/sense`): "no problem" is none. An instance's own keywords are
   matched as they are written, whole, in any spelling (`actors/text.py`), whatever stands beside them.

A new rule is one function and one line in `RULES`, with what the staff reads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from actors.sense import reading
from actors.sense.reading import MAX_CHARS
from actors.text import contains_phrase, first_words, words

LOOKED_BACK = 5
"""Interactions that the rules look at, the newest."""
REPEATS = 3
LOW_QUALITY = 0.4


SMALL_TALK = frozenset(
    word
    for listed in (
        """yes yeah yea yep yup ya sure ok okay okey okk k kk fine alright right correct exactly agreed great good nice
        perfect cool done no nope nah thanks thank you thx ty tnx tysm much so very please pls""",
        """نعم اي ايه ايوه ايوا ايوة ايي اه اها آه أجل بلى صح صحيح تمام تمامات اوكي اوك أوكيه اوكيه طيب طب حسنا
        حسناً ماشي زين ابشر أبشر تم يب اكيد أكيد موافق موافقة خلاص حاضر ان شاء الله انشاءالله لا لأ لاء كلا مو مش
        شكرا شكراً مشكور
        مشكورة مشكورين شكرًا جزيلا تسلم تسلمي تسلمون يسلمو يسلموا يعطيك يعطيكم العافية العافيه جزاك جزاكم الله خير خيرا
        مرسي ميرسي متشكر متشكرة ممنون ممنونة عفوا من فضلك لو سمحت كتير كثير""",
        """sim s nao n ok obrigado obrigada obg brigado brigada valeu vlw blz beleza certo certinho claro isso pode
        ta muito perfeito combinado otimo fechado joia""",
        """si no vale gracias muchas claro bueno listo dale perfecto de acuerdo correcto exacto genial bien por
        favor""",
        """hi hello hey hiya good morning afternoon evening night day
        السلام سلام عليكم وعليكم ورحمة الله وبركاته مرحبا مرحبتين اهلا اهلين هلا ياهلا هاي وسهلا صباح مساء الخير النور
        ola oi bom boa dia tarde noite tudo bem hola buenas buenos dias tardes noches""",
    )
    for word in words(listed)
)
"""Words of which alone nothing is asked: yes, no, fine, thanks, good morning. Also in Gulf, Egyptian and Levantine
Arabic."""


class Interaction(msgspec.Struct, frozen=True):
    """What was asked once, and how well it was answered (0 to 1), where that is known."""

    text: str
    quality: float | None = None
    answer: str = ""
    """Equal for equal answers; empty: unknown."""


class EscalationInput(msgspec.Struct, frozen=True):
    """All that the rules may look at."""

    text: str
    """What the customer says now."""
    interactions: tuple[Interaction, ...] = ()
    """What came before, the newest first."""
    keywords: tuple[str, ...] = ()
    """The instance's own words for asking for a person, instead of ours; none: ours."""
    threshold: int = 3
    """How many badly answered interactions are too many. More than `LOOKED_BACK` are never found."""
    is_typed: bool = True
    """The customer typed it all: nothing is a picture, a voice or a choice among what the business offered."""


class EscalationRule(msgspec.Struct, frozen=True):
    reason: str
    """The word that is recorded and shown to operators."""
    applies: Callable[[EscalationInput], bool]
    staff_text: str
    """How the notice to the staff goes on after the customer's number, English / Arabic."""


def asks_for_human(given: EscalationInput) -> bool:
    """The customer asks for a person: in the instance's words where it has some, else by the sense of what he says."""
    own = _phrases(given.keywords)
    if not own:
        return reading.read(given.text).human
    said = _words(given.text)
    return any(contains_phrase(said, phrase) for phrase in own)


def repeats_question(given: EscalationInput) -> bool:
    """The newest three or more of the five latest questions, the one at hand first, have the same words.

    They must follow one another: a customer who asked something else between has moved on. What is said several times
    before it is answered counts once. Only questions count: no picture, no voice, no choice from a menu, no number, no
    "yes", "ok", "thanks" or "good morning"; and a single word only if it got the same answer each time.
    """
    latest = (given.text, *(interaction.text for interaction in given.interactions[: LOOKED_BACK - 1]))
    said = [_question(text) for text in latest[:REPEATS]]
    if not given.is_typed or len(said) < REPEATS or any(other != said[0] for other in said):
        return False
    if all(word.isdigit() or word in SMALL_TALK for word in said[0]):
        return False
    answers = {interaction.answer for interaction in given.interactions[: REPEATS - 1]}
    return len(said[0]) > 1 or (len(answers) == 1 and answers != {""})


def low_quality(given: EscalationInput) -> bool:
    """Too many of the latest interactions were answered badly; where the quality is not known, they do not count."""
    latest = given.interactions[:LOOKED_BACK]
    bad = sum(1 for past in latest if past.quality is not None and past.quality < LOW_QUALITY)
    return bad >= max(1, given.threshold)


def sensitive_topic(given: EscalationInput) -> bool:
    """The customer speaks of what a machine should not settle."""
    return reading.read(given.text).sensitive


RULES: tuple[EscalationRule, ...] = (
    EscalationRule("asks_for_human", asks_for_human, "asks for a person / يطلب التحدث مع شخص"),
    EscalationRule("repeated_question", repeats_question, "asked the same again and again / كرر السؤال نفسه"),
    EscalationRule("low_quality", low_quality, "got poor answers / لم يحصل على إجابات جيدة"),
    EscalationRule("sensitive_topic", sensitive_topic, "raises a sensitive topic / طرح موضوعًا حساسًا"),
)
"""Their order is their priority."""


def reason(given: EscalationInput) -> str:
    """The reason of the first rule that applies; empty when the conversation stays with the responder."""
    return next((rule.reason for rule in RULES if rule.applies(given)), "")


REASONS = tuple(rule.reason for rule in RULES)

ReasonNames = tuple[tuple[str, str], ...]
"""Reasons, each with the name that others are told instead (`escalation.reason_names`)."""


def told_reason(reason: str, names: ReasonNames) -> str:
    """What a reason is called where it leaves Majlis."""
    return dict(names).get(reason, reason)


def reason_told(told: str, names: ReasonNames) -> str:
    """The reason that is called so; what is told, where that is none or more than one."""
    found = [reason for reason, name in names if name == told]
    return found[0] if len(found) == 1 else told


def staff_text(reason: str) -> str:
    """What the staff reads of a rule; of a reason that no rule has, the reason itself."""
    return next((rule.staff_text for rule in RULES if rule.reason == reason), reason)


def _question(text: str) -> tuple[str, ...]:
    """The words of a text, of lines that say the same only once."""
    lines = dict.fromkeys(map(_words, text[:MAX_CHARS].split("\n")))
    return tuple(word for line in lines for word in line)


def _words(text: str) -> tuple[str, ...]:
    return first_words(text, MAX_CHARS)


@lru_cache(maxsize=1024)
def _phrases(keywords: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The keywords as words, without those that say nothing (an empty line in a form)."""
    return tuple(phrase for phrase in map(_words, keywords) if phrase)

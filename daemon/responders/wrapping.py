"""What a model puts round its answer or into it that no person would write: a fence, a label, quotation marks, escapes,
marks of its sources. Pure, total.

Laws of this file:
1. Only what is round the whole answer is taken off; what is within it is the formatting's.
2. Written escapes become what they stand for only where the answer has no real line break, and is no path and no
   explanation of regular expressions.
3. Marks of sources go where they can be nothing else: `[1]` in a list stays.
4. Bare answers stay as they are; so does everything in inline code.
"""

from __future__ import annotations

import re

from daemon.responders.letters import may_say
from daemon.responders.loose_json import unescaped

_FENCE = re.compile(r"(?:```|~~~)[^\S\n]*+([\w+-]{0,20}+)[^\S\n]*+(?:\n|\Z)")
_FENCE_LINE = re.compile(r"(?:\A|(?<=\n))[^\S\n]{0,3}(?:```|~~~)([^\n]*+)")
_OF_WORDS = ("markdown", "md", "text", "txt", "plaintext", "whatsapp", "html")

_ROLES = (
    r"(?:ai |virtual |chat )?assistant|ai|(?:ai )?bot|chatbot|chatgpt|asistente|assistente|assistante?"
    r"|asistan|assistent|(?:ال)?مساعد(?: الذكي| الافتراضي)?|(?:ال)?بوت"
)
_ANSWERS = (
    r"(?:the |my |final |ai |suggested )?(?:response|answer)|final reply|respuesta(?: final)?|resposta(?: final)?"
    r"|réponse(?: finale)?|antwort|cevap|yanıt|(?:ال)?رد(?: النهائي)?"
    r"|(?:ال)?إجابة(?: النهائية)?|(?:ال)?اجابة|(?:ال)?جواب|رد المساعد"
)
_LABEL = re.compile(
    rf"[*_#\s]{{0,4}}(?:(?P<role>{_ROLES})|{_ANSWERS})[^\S\n]?(?:[*_]{{1,3}})?[^\S\n]?[:：][*_]{{0,3}}\s*+(?=\S)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"(?:\*\*|#{{1,4}} ?)(?:(?P<role>{_ROLES})|{_ANSWERS})(?:\*\*)?[^\S\n]*+\n\s*+(?=\S)", re.IGNORECASE
)
_LEFT_OF_TURN = re.compile(r"(?:assistant|model)\n\s*+(?=\S)")
_OTHERS = r"user|customer|human|client|usuario|cliente|utilisateur|kunde|المستخدم|العميل|الزبون"
_NEXT_TURN = re.compile(
    rf"\n(?:[*_]{{0,2}}(?:{_OTHERS})[*_]{{0,2}}\s?[:：]"
    rf"|#{{1,4}} ?(?:{_OTHERS}|instruction|input)\s?(?:[:：]|(?=\n)|\Z))",
    re.IGNORECASE,
)
_TRANSCRIPT = re.compile(
    rf"[*_#\s]{{0,4}}(?:system|instruction|input|{_OTHERS})[*_]{{0,2}}\s?(?:[:：]|(?=\n))", re.IGNORECASE
)
_OUR_TURN = re.compile(
    rf"\n(?:[*_]{{0,2}}(?:{_ROLES})[*_]{{0,2}}\s?(?:[:：]|(?=\n))|#{{1,4}} ?(?:{_ROLES}|response)\s?(?:[:：]|(?=\n)))",
    re.IGNORECASE,
)
"""How a transcript goes on that begins with the other side."""
_NEXT_TURN_LEFT = re.compile(r"(?<=[.!?؟。…)\"”»])assistant\n\n")

_CLOSING = {
    '"': '"',
    "“": "”",
    "”": "”",
    "„": "“”",
    "«": "»",
    "‹": "›",
    "‘": "’",
    "'": "'",
    "「": "」",
    "『": "』",
}
_QUOTE_MARKS = {mark: re.compile(f"[{mark}{closing}]") for mark, closing in _CLOSING.items()}
_STOPS_WORD = re.compile(r"[\s(\[{،,؛;:—–-]")

_WRITTEN_BREAK = re.compile(r"\\\\?n|\\\\?r")
_WRITTEN = re.compile(r"\\\\?r\\\\?n|\\\\?[nr]|\\\\?t|\\\\?\"|(?:\\u[0-9a-fA-F]{4})+")
_MEANS = {"t": "\t", '"': '"'}
_FILES = "txt|pdf|docx?|xlsx?|csv|jpe?g|png|exe|zip|py|js|json|xml|html?|md|ini|log|bat|dll"
_PATH = re.compile(
    rf"(?:^|[\"'(])(?:[A-Za-z]:|\\\\(?![nrt]))|\\(?![nrtu])[A-Za-z]|\.(?:{_FILES})[.,;)]?$", re.IGNORECASE
)
_REGEX = re.compile(r"\\[dDsSwWbB](?![a-z])")
_WORD_OR_BLANK = re.compile(r"\s+|`[^`]{0,200}`|[^\s`]+|`")
_MENTIONED = re.compile(r"[\"'“«(]?(?:\\[nrt]){1,2}[\"'”»).,]?")
_UNICODE = re.compile(r"\\u[0-9a-fA-F]{4}")
_MOSTLY = 0.5

_CODE = r"`[^`\n]{1,200}+`"
_SOURCE = re.compile(
    rf"""
      (?P<code>{_CODE})
    | [^\S\n]{{0,2}}【(?:[^【】\n†]{{0,80}}+†[^【】\n]{{0,200}}+|(?:turn|cite|source|doc)[^【】\n]{{0,80}}+
        |\{{[^【】\n]{{0,300}}+)】
    | (?<=[^\s])[^\S\n]?【\d[\d:,\s–-]{{0,20}}+】
    | [^\S\n]{{0,2}}\ue200[^\ue201\n]{{0,400}}\ue201 | [\ue200-\ue206]
    | [^\S\n]{{0,2}}(?<!\w)(?:file|nav)?cite(?:turn\d{{1,3}}[a-z]{{1,12}}\d{{1,4}})++
    | [^\S\n]{{0,2}}:contentReference\[[^\]\n]{{0,80}}+\](?:\{{[^}}\n]{{0,80}}+\}})?
    | [^\S\n]{{0,2}}\[oaicite:\d{{1,4}}\](?:\{{[^}}\n]{{0,80}}+\}})?
    | (?:\A|(?<=\n))\[\^[\w-]{{1,20}}\^?\]:[^\n]*+(?:\n|\Z)
    | [^\S\n]{{0,2}}\[\^[\w-]{{1,20}}\^?\](?!\()
    | [^\S\n]{{0,2}}\[(?:citation|cite|source|web|webpage)s?[:\s_]\s?[\d,\s–-]{{1,30}}\](?!\()
    | \[cite_(?:start|end)\][^\S\n]? | [^\S\n]{{0,2}}\[(?:doc|web)\d{{1,3}}\](?!\()
    | [^\S\n]{{0,2}}\[\d{{1,3}}(?::\d{{1,3}})?†[^\]\n]{{0,120}}+\]
    | [^\S\n]{{0,2}}<sup>\s?\[[^<>\n\]]{{1,40}}+\]\s?</sup>
    | [^\S\n]{{0,2}}<(?:grok:render|cit)\b[^<>]{{0,200}}+>
        (?:(?:<argument[^<>]{{0,80}}+>[^<>]{{0,80}}+</argument>\s?)++</grok:render>)?
    | </?(?:cite|co|cit|source_ref|antml:cite)(?:[:\s][^<>]{{0,200}}+)?>
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CUT_SOURCE = re.compile(r"【\d[^】\n]{0,60}\Z")
_SIGNS = re.compile(
    r"[【\ue200-\ue206†]|oaicite|citeturn|\[(?:\^|cit|source|doc|web)|<(?:sup|co|cit|grok|/c|source_ref|antml)",
    re.IGNORECASE,
)
"""Without one of these there is no mark of a source but a number."""
_MAY_BE_SIGN = re.compile("[【\ue200-\ue206†\\[<]")
_SIGN_WORDS = ("oaicite", "citeturn")
"""Each begins with one, or is one of the words."""
_FOOTNOTES = re.compile(
    rf"(?P<code>{_CODE})|(?<=[\w.!?؟。،,;:)\"”»%])(?P<marks>(?:\[\d{{1,3}}\])++)(?=[\s.,;:!?؟،)]|\Z)"
)
_SOURCE_NAMES = ("source", "المصدر", "المصادر", "fuente", "fonte", "quelle")
_SOURCE_WORDS = r"(?:sources?|المصدر|المصادر|fuentes?|fontes?|quellen?)[*_]{0,2}\s?[:：][*_]{0,2}\s?"
_FILE_SOURCE = re.compile(
    rf"[^\S\n]{{0,2}}[\[(]{_SOURCE_WORDS}(?P<file>[^\[\]()\n]{{1,120}}+)[\])]"
    rf"|(?:\A|\n)[-*_ ]{{0,4}}{_SOURCE_WORDS}(?P<line>[^\n]{{1,120}}+)(?=\n|\Z)",
    re.IGNORECASE,
)
_NAMES_FILE = re.compile(rf"[^/]{{1,115}}\.(?:{_FILES})[*_.`\"']{{0,3}}", re.IGNORECASE)
"""A passage's source is the name of a file of the business, which customers do not know. An address they may follow."""
_AFTER_SENTENCE = '.!?؟。،,;:)"”»'


def bare(text: str) -> str:
    """The answer in `text`, without what is round it."""
    text = _without_fence(text.strip())
    text = without_label(text)
    text = _without_quotes(text)
    return _with_real_breaks(text)


def without_sources(text: str) -> str:
    """`text` without the marks of sources."""
    without = text
    if (_MAY_BE_SIGN.search(text) or may_say(text, _SIGN_WORDS)) and _SIGNS.search(text):
        without = _CUT_SOURCE.sub("", _SOURCE.sub(lambda found: found["code"] or "", text))
    footnotes = [found for found in _FOOTNOTES.finditer(without) if found["marks"]] if "[" in without else []
    sure = sum(
        found["marks"].count("[") > 1 or without[found.start() - 1] in _AFTER_SENTENCE for found in footnotes
    )
    if sure:
        without = _FOOTNOTES.sub(lambda found: found["code"] or "", without)
    if may_say(without, _SOURCE_NAMES):
        without = _FILE_SOURCE.sub(_without_file, without)
    return without if without == text else without.strip()


def _without_file(found: re.Match[str]) -> str:
    named = found["file"] or found["line"]
    return "" if _NAMES_FILE.fullmatch(named.strip()) else found[0]


def _without_fence(text: str) -> str:
    """`text` out of the one fence round all of it."""
    opened = _FENCE.match(text)
    if opened is None:
        return text
    language = opened[1].casefold()
    inside = text[opened.end() :]
    lines = [found[1].strip() for found in _FENCE_LINE.finditer(inside)]
    if not lines:  # it was cut off
        return inside.strip() if language in _OF_WORDS else text
    closes = inside.rstrip().endswith(("```", "~~~")) and not lines[-1]
    pairs = lines[:-1]
    nested = not any(pairs[1::2]) and all(pairs[::2]) and not len(pairs) % 2
    if not closes or not nested or (language and language not in _OF_WORDS):
        return text
    return inside.rstrip()[:-3].strip()


def without_label(text: str) -> str:
    """`text` without the name of its speaker, and without what it goes on to say in the other's name."""
    ours = _OUR_TURN.search(text) if _TRANSCRIPT.match(text) else None
    text = text[ours.start() + 1 :] if ours else text
    left = _LEFT_OF_TURN.match(text)
    label = left or _LABEL.match(text) or _HEADING.match(text)
    next_left = _NEXT_TURN_LEFT.search(text) if "assistant\n\n" in text else None
    if next_left:
        text = text[: next_left.start()]
    if label is None or label.end() >= len(text):
        return text
    text = text[label.end() :]
    if left or ours or label.groupdict().get("role"):
        following = _NEXT_TURN.search(text)
        text = text[: following.start()].rstrip() if following else text
    return text


def _without_quotes(text: str) -> str:
    closing = _CLOSING.get(text[:1], "")
    if len(text) < 2 or text[-1] not in closing or not _is_one_quotation(text, text[0], closing):
        return text
    return text[1:-1].strip()


def _is_one_quotation(text: str, opening: str, closing: str) -> bool:
    """Whether the quotation that `text` begins with ends where it ends: `"A" and "B"` are two."""
    depth = 0
    for at in (found.start() for found in _QUOTE_MARKS[opening].finditer(text)):
        before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
        if before == "\\" or (text[at] in "'’" and before.isalnum() and after.isalnum()):
            continue
        if opening in closing:
            opens = not before or (_STOPS_WORD.match(before) is not None and bool(after.strip()))
        else:
            opens = text[at] == opening
        depth += 1 if opens else -1
        if not depth:
            return at == len(text) - 1
    return False


def _with_real_breaks(text: str) -> str:
    """`text` with the escapes that are written in it as what they stand for."""
    if "\\" not in text:
        return text
    codes = _UNICODE.findall(text)
    if len(codes) * 6 > _MOSTLY * len(text):
        return unescaped(text).strip()
    if "\n" in text or not _WRITTEN_BREAK.search(text) or _REGEX.search(text):
        return text
    pieces = _WORD_OR_BLANK.findall(text)
    alone = sum(_MENTIONED.fullmatch(piece) is not None for piece in pieces)
    made = [
        piece if _is_code(pieces, at, alone) else _WRITTEN.sub(_meaning, piece)
        for at, piece in enumerate(pieces)
    ]
    return "".join(made).strip()


def _is_code(pieces: list[str], at: int, alone: int) -> bool:
    """Whether the backslashes of a word are its own: a path, code, or the escape that is spoken about."""
    piece = pieces[at]
    if "\\" not in piece:
        return True
    if piece[0] == "`" or _PATH.search(piece):
        return True
    if not _MENTIONED.fullmatch(piece):
        return False
    following = pieces[at + 2][:1] if at + 2 < len(pieces) else ""
    return piece[0] != "\\" or (alone == 1 and at > 0 and following.islower())


def _meaning(found: re.Match[str]) -> str:
    if found[0].startswith("\\u"):
        return unescaped(found[0])
    return _MEANS.get(found[0][-1], "\n")

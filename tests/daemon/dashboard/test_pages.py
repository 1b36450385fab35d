"""Only the files of the dashboard are served, and nothing else of the disk."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from importlib import resources
from typing import get_args

import pytest

from actors.messages import Aside, CutReason
from daemon.config.sections import MonitorSettings, TargetsSettings
from daemon.dashboard.pages import INDEX, TYPES, Pages
from daemon.observe.alerts import rules
from daemon.operate.letters import ANYWHERE, OF_PROVIDERS
from daemon.operate.message_life import CUT, NOT_ANSWERED, SAID, SILENCED
from daemon.responders.breaker import Condition
from daemon.responders.http_kind import HttpKind
from daemon.responders.kinds import PROVIDERS
from daemon.web.http1 import Peer, Request

PAGES = Pages()
FILES = {file.name: file.read_bytes() for file in (resources.files("daemon.dashboard") / "pages").iterdir()}


def request(**headers: str) -> Request:
    return Request("GET", "/", ("",), {}, headers, b"", Peer("127.0.0.1"))


def test_every_file_is_served_with_its_content_type() -> None:
    for name, body in FILES.items():
        response = PAGES.file(name, request())
        assert response is not None and response.body == body, name
        assert response.content_type == TYPES[name[name.rfind(".") :]]
        assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../door.py", "door.py", "/etc/passwd", "index.html\0", "INDEX.HTML"]
)
def test_other_names_are_not_files(name: str) -> None:
    assert PAGES.file(name, request()) is None


def test_unchanged_files_get_304() -> None:
    first = PAGES.index(request())
    etag = first.headers["ETag"]
    assert first.status == 200 and first.body == FILES[INDEX]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = PAGES.index(Request("GET", "/", ("",), {}, {"if-none-match": known}, b"", Peer("x")))
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    stale = Request("GET", "/", ("",), {}, {"if-none-match": '"old"'}, b"", Peer("x"))
    assert PAGES.index(stale).status == 200


def test_no_files_import_one_another() -> None:
    imports = {name: re.findall(r'from "\./([^"]+)"', body.decode()) for name, body in FILES.items()}
    assert imports["main.js"]
    TopologicalSorter(imports).prepare()  # raises CycleError, which names them


def test_pages_refer_to_no_other_host() -> None:
    """Names of XML namespaces are not addresses."""
    for name, body in FILES.items():
        assert not re.search(r"""https?://(?!www\.w3\.org/)\w|["'(]//\w""", body.decode()), name


def test_an_override_in_a_text_ends_with_the_element_that_shows_it() -> None:
    """Blocks end it by themselves; inline elements only when they are isolated."""
    rule = re.search(r"([^{}*/]+)\{\s*unicode-bidi: isolate;\s*\}", FILES["base.css"].decode())
    assert rule is not None
    assert {"span", "strong", "a", "code", "bdi"} <= {name.strip() for name in rule[1].split(",")}
    styles = [body.decode() for name, body in FILES.items() if name.endswith(".css")]
    assert sum(style.count("unicode-bidi") for style in styles) == 1, "nothing takes it back"


def test_what_customers_wrote_stands_in_an_element_of_its_own() -> None:
    """A contact or a text in the middle of a sentence would reorder it: `bdi`, `messageText` or a view of their own."""
    for name, body in FILES.items():
        if name.endswith(".js"):
            mixed = re.findall(
                r"`[^`\n]*\$\{[\w.]*\.(?:contact|text|push_name|quoted_text)\}[^`\n]*`", body.decode()
            )
            assert not mixed, (name, mixed)


def test_the_page_alone_says_which_language_its_numbers_and_dates_have() -> None:
    """The browser's own would mix its digits and its order of a date into an English page."""
    for name, body in FILES.items():
        if name.endswith(".js"):
            asked = re.findall(r"\bIntl\.\w+\(\s*([^,)]*)|\.(toLocale\w+)", body.decode())
            assert name == "format.js" or not asked, (name, asked)
            assert {first for first, _ in asked} <= {"LANGUAGE"}, (name, asked)


def test_no_page_shows_the_state_of_a_turn_without_its_rule() -> None:
    """`done` is the state of an answer, of an escalation and of a confirmed stop word."""
    for name, body in FILES.items():
        assert name == "turn_words.js" or '"answered",\n  suppressed: ' not in body.decode(), name
        assert "TURN_STATES" not in body.decode(), name


def test_every_rule_of_silence_and_every_alert_has_its_words() -> None:
    known = {
        "RULES": {*NOT_ANSWERED, *SILENCED, *SAID},
        "ASIDES": {*get_args(Aside)} - {""},
        "REASONS": {*ANYWHERE, *OF_PROVIDERS},
        "CUT": {*get_args(CutReason)} - {""},
        "PROVIDER_STATES": {*get_args(Condition)},
        "ALERTS": {rule.name for rule in rules(MonitorSettings(), TargetsSettings())},
    }
    words = FILES["words.js"].decode()
    for name, codes in known.items():
        listed = words.partition(f"const {name} = {{")[2].partition("\n};")[0]
        assert codes <= set(re.findall(r"^  (\w+):", listed, re.MULTILINE)), name
    assert all(f'  {reason}: "{said}",' in words for reason, said in CUT.items())
    assert set(CUT) == known["CUT"]


def test_every_provider_that_is_asked_over_the_network_can_be_chosen_for_an_instance() -> None:
    words = (
        FILES["instance_words.js"].decode().partition("export const PROVIDERS = {")[2].partition("\n};")[0]
    )
    named = set(re.findall(r"^  (\w+): \{", words, re.MULTILINE))
    assert named == {name for name, kind in PROVIDERS.items() if isinstance(kind, HttpKind)}

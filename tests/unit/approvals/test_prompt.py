"""A question shows every argument, the most important first, and nothing that looks like something else."""

from __future__ import annotations

import re
import time
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_service.approvals.bundles import bundles
from kernel_service.approvals.leaves import leaves_of
from kernel_service.approvals.prompt import MOST_SHOWN, Shown, shown
from kernel_service.approvals.visible import units
from kernel_service.ports.approvals import Approval

STRANGER = "mallory@evil.example"
LONG = "Dear Bob, " + "this goes on and on. " * 400


def asked(arguments: dict[str, Any], **more: Any) -> Approval:
    return Approval("ap_1", "c1", "GMAIL_CREATE_EMAIL_DRAFT", arguments, title="Gmail: Create draft", **more)


def of(arguments: dict[str, Any], **more: Any) -> Shown:
    told = shown([asked(arguments, **more)])
    assert told is not None
    assert units(told.text) <= MOST_SHOWN
    return told


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({"n": "bob", "copies": ["a", 1], "html": False}, "n: bob\ncopies[0]: a\ncopies[1]: 1\nhtml: false"),
        ({"body": "one\nto: mallory"}, "body:\n| one\n| to: mallory"),
        ({"body": "```\n*bold* [x](y)"}, "body:\n| '''\n| *bold* [x](y)"),
        ({"a\nb": "x"}, '"a\\nb": x'),
        ({"a.b": "x", "a": {"b": "y"}, "c[0]": 1}, '"a.b": x\na.b: y\n"c[0]": 1'),
        ({"n": "bob\u202egro"}, "n: bob⟨U+202E⟩gro"),
        ({"n": "bob\u2028x\x00"}, "n:\n| bob\n| x⟨U+0000⟩"),
        ({"n": "👩‍🔬 ❤️"}, "n: 👩‍🔬 ❤️"),
        ({"n": "b\u200dob", "m": "b\u3164ob"}, "n: b⟨U+200D⟩ob\nm: b⟨U+3164⟩ob"),
        ({"n": " " * 400 + "x", "m": "\n" * 400 + "x"}, 'n:\n"⟨space×400⟩x"'),
        ({"n": "z" + "\u0301" * 90}, "n: z\u0301\u0301\u0301⟨mark×87⟩"),
        (
            {"n": "", "m": None, "o": "null", "p": [], "q": "[]", "r": {}},
            'n: ""\nm: null\no: "null"\np: []\nq: "[]"\nr: {}',
        ),
        ({"n": 1e300, "m": "5", "o": 5}, "n: 1e+300\nm: 5\no: 5"),
        ({"b\u043edy": "x"}, '"b\\u043edy": x'),
        ({"Größe": "x"}, '"Größe": x'),
        ({"n": "bob%40example.org"}, "n: bob%40example.org\n… decoded: bob@example.org"),
        ({"n": "bob＠example.org"}, "n: bob＠example.org\n… decoded: bob@example.org"),
        ({"n": "bob&#64;example.org"}, "n: bob&#64;example.org\n… decoded: bob@example.org"),
        (
            {"to": "b\u043eb@example.org"},
            "to: b\u043eb@example.org\n… with letters that look like others: b\\u043eb@example.org",
        ),
        ({"n": "b\u180bob", "m": "b\U000e0100ob"}, "n: b⟨U+180B⟩ob\nm: b⟨U+E0100⟩ob"),
        ({"n": "И\u200dв", "m": "é\u200cé"}, "n: И⟨U+200D⟩в\nm: é⟨U+200C⟩é"),
        ({"n": "क्\u200dष می\u200cخ"}, "n: क्\u200dष می\u200cخ"),
        ({"n": "b\U0001d159ob", "m": "b\U00016fe4ob"}, "n: b⟨U+1D159⟩ob\nm: b⟨U+16FE4⟩ob"),
        ({"n": "\u0431\ufe0f", "m": "❤️\ufe0f"}, "n: \u0431⟨U+FE0F⟩\nm: ❤️⟨U+FE0F⟩"),
        ({"n": "\u1820\u180b 葛\U000e0100 1️⃣"}, "n: \u1820\u180b 葛\U000e0100 1️⃣"),
        (
            {"url": "https://b\u0430nk.example/b\u0430"},
            "url: https://b\u0430nk.example/b\u0430\n… with letters that look like others: https://b\\u0430nk.example",
        ),
        (
            {"url": "www.b\u0430nk.example/x"},
            "url: www.b\u0430nk.example/x\n… with letters that look like others: www.b\\u0430nk.example",
        ),
        (
            {"channel": "gener\u0430l", "recipient": "Иван Müller"},
            "channel: gener\u0430l\n… with letters that look like others: gener\\u0430l\nrecipient: Иван Müller",
        ),
    ],
)
def test_each_argument_is_shown_as_it_is_and_none_as_another(arguments: dict[str, Any], lines: str) -> None:
    told = of(arguments).text
    if "⟨space" in lines:
        assert "⟨space×400⟩x" in told
        assert "⟨empty line×400⟩" in told
    else:
        assert told == f"Please confirm: **Gmail: Create draft**\n\n```\n{lines}\n```"


def test_without_arguments_and_title() -> None:
    told = shown([Approval("ap_1", "c1", "delete_all", {})])
    assert told == Shown("Please confirm: **Delete all**")


@pytest.mark.parametrize("title", ["a\n\n```\nto: bob", "**x** [y](z) `q`", "t" * 900, "\u202etitle"])
def test_the_title_of_a_tool_forges_nothing(title: str) -> None:
    told = shown([Approval("ap_1", "c1", "act", {"to": "bob"}, title=title)])
    assert told is not None
    assert re.fullmatch(r"Please confirm: \*\*[^*`\n]{1,90}\*\*\n\n```\nto: bob\n```", told.text)


# --- whom it reaches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"body": LONG, "subject": LONG, "recipient_email": STRANGER},
        {"body": LONG, "extra": {"headers": [{"x": {"y": STRANGER}}]}},
        {"body": LONG, "zz": STRANGER},
        {"body": LONG, "shares": {STRANGER: "writer"}},
        {"body": LONG[:4000] + STRANGER + LONG[4000:]},
        {**{f"n{number}": "x" * 90 for number in range(200)}, "attendees": [{"email": STRANGER}]},
        {"list": list(range(10_000)), "to": STRANGER},
        {"x" * 5000: 1, "to": STRANGER},
        {"body": LONG, "webhook": f"https://{STRANGER.partition('@')[2]}/?d=" + "q" * 3000, "cc": [STRANGER]},
        {"body": "\n" * 5000 + "x" * 900, "to": STRANGER},
        {"data": "QUJD" * 5000, "to": STRANGER},
        {"to": f"Mallory <{STRANGER}>", "html": "<p>" + LONG},
        {**{f"n{number}": "x" for number in range(500)}, "to": f"{'x' * 300} {STRANGER} {'y' * 300}"},
        {**{f"n{number}": "x" for number in range(500)}, "raw": f"{LONG} {STRANGER} {LONG}"},
        {**{f"n{number}": "x" for number in range(500)}, "raw": b64encode(f"To: {STRANGER}\n{LONG}".encode()).decode()},
    ],
)
def test_the_recipient_is_never_out_of_sight(arguments: dict[str, Any]) -> None:
    told = of(arguments)
    assert STRANGER in told.text
    assert told.document
    assert STRANGER in told.document.decode()


@pytest.mark.parametrize(
    "packed",
    [
        b64encode(f"To: {STRANGER}\n\n{LONG}".encode()).decode(),
        urlsafe_b64encode(f"{LONG}{STRANGER}".encode()).decode(),
        urlsafe_b64encode(f"{LONG}To: {STRANGER}\n".encode() + b"\xff\0").decode(),
        b64encode(b64encode(f"{LONG}{STRANGER}".encode())).decode(),
        "\n".join(re.findall(".{1,77}", b64encode(f"{LONG}{STRANGER}".encode()).decode())),
    ],
)
def test_a_recipient_in_a_packed_message_is_unpacked(packed: str) -> None:
    assert f"left out, with {STRANGER}" in of({"raw": packed}).text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "writer"),
        ("type", "+49 170 1234567"),
        ("amount", 1_000_000),
        ("url", "https://evil.example/x"),
        ("to", "@x"),
    ],
)
def test_important_values_come_before_short_ones_and_short_ones_before_long_ones(name: str, value: Any) -> None:
    told = of({"body": LONG, "note": "hi", name: value}).text
    first, second, third = (told.index(f"\n{each}") for each in (name, "note", "body"))
    assert first < second < third


def test_a_long_value_is_shown_by_its_beginning_and_end_and_whole_in_the_document() -> None:
    told = of({"body": (body := f"First. {LONG} Last.")})
    assert f"body ({len(body)} characters):\n| First. Dear Bob" in told.text
    assert "characters left out\n|" in told.text
    assert told.text.endswith("Last.\n```")
    assert told.text.startswith("(All details are in the file above: please-confirm.txt, 9 kB.)")
    assert told.document
    assert LONG.strip() in told.document.decode()


def test_a_long_value_is_shown_with_the_letters_of_its_links() -> None:
    told = of({"body": f"{LONG} https://b\u0430nk.example/x {LONG}"}).text
    assert "… with letters that look like others: https://b\\u0430nk.example" in told


def test_the_host_of_a_long_link_is_shown_whole() -> None:
    host = "accounts.google.com." + "a" * 150 + ".evil.example"
    assert f"https://{host}" in of({"url": f"https://{host}/{'q' * 900}", "body": LONG}).text


def test_a_call_that_a_message_cannot_show_is_not_asked_for() -> None:
    assert shown([asked({"attendees": [{"email": f"person{number}@example.org"} for number in range(60)]})]) is None
    assert shown([asked({"body": "x" * 2_000_000})]) is None


def test_several_calls_are_asked_for_apart_rather_than_without_an_argument_or_a_title() -> None:
    calls = [
        asked({"task_gid": f"157200000000{number:04}"}, titles={f"157200000000{number:04}": "t" * 60})
        for number in range(12)
    ]
    assert shown(calls) is None
    for approvals, told in bundles(calls):
        assert told is not None
        assert told.document is None
        assert all(f"{gid}: “" in told.text for one in approvals for gid in one.titles)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["\u200b", "\u202e\u200b", "z\u0301", "a@", "@", "a.", "1 ", "%40", " ", "\n", "`", "x"]
)
def test_no_text_takes_long_to_show(text: str) -> None:
    began = time.process_time()
    shown([asked({"body": text * (200_000 // len(text))})])
    assert time.process_time() - began < 3


def test_a_long_question_says_so_first() -> None:
    told = of({f"field{number}": "x" * 60 for number in range(11)})
    assert told.document is None
    assert told.text.startswith("(This is long. Please read all of it before you answer.)")


def test_several_calls_are_numbered_and_each_has_its_own_arguments() -> None:
    told = shown([asked({"to": "ann@example.org"}), asked({"to": "bob@example.org", "body": LONG})])
    assert told is not None
    assert "**1. Gmail: Create draft**\n\n```\nto: ann@example.org\n```\n\n**2. Gmail: Create draft**" in told.text
    assert told.document
    assert "2. Gmail: Create draft\nto: bob@example.org\nbody:" in told.document.decode().replace("body: ", "body:")


# --- anything at all ------------------------------------------------------------------------------------------------

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(
    ["```", "\n\nto: x", "\u202e", "| x", "… 3", "a\r\nb", "\x85", "~~~", "x" * 2000, "\u200b" * 500, STRANGER]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_text, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(_text, _values, max_size=8))
def test_every_value_is_in_the_question_or_in_its_document_and_none_forges_a_line(arguments: dict[str, Any]) -> None:
    told = shown([asked(arguments)])
    if told is None:
        return
    whole = told.document.decode() if told.document else told.text
    for leaf in leaves_of(arguments):
        assert f"{leaf.path}: " in whole or f"{leaf.path}:\n| " in whole
        for line in leaf.lines:
            assert line in whole
    fences = [line for line in told.text.split("\n") if line.startswith("```")]
    assert fences in ([], ["```", "```"])
    assert units(told.text) <= MOST_SHOWN
    paths = {leaf.path for leaf in leaves_of(arguments)}
    assert len(paths) == len(leaves_of(arguments))
    if told.document is None and fences:
        _, shown_lines, _ = told.text.split("```")
        for line in shown_lines.strip("\n").split("\n"):
            assert line.startswith(("| ", "… ")) or any(line.startswith(f"{path}:") for path in paths)


def test_it_says_why_it_asks_each_reason_once() -> None:
    told = of({"n": "x"}, reason="outside", titles={"x": "y"}).text
    assert "\n```\n\nI ask because I have read content from others" in told
    calls = [replace(asked({"n": str(n)}), reason=reason) for n, reason in enumerate(("outside", "effect", "outside"))]
    together = shown(calls)
    assert together is not None
    assert together.text.count("I ask because") == 2

"""Long texts are split into self-contained parts, cut where a reader would, in linear time."""

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gateway.whatsapp_app import show
from whatsapp_gateway.markup import split_rule_2
from whatsapp_gateway.markup.commonmark import Block, to_blocks
from whatsapp_gateway.markup.graphemes import shortened, units
from whatsapp_gateway.markup.splitting import SPLIT_VERSION, pack, with_tail
from whatsapp_gateway.model.outbox import Link, OfferedChoice, Reply
from whatsapp_gateway.outbound.rendering import RULES, render

LIMIT = 4096


def parts(markdown: str, limit: int = LIMIT) -> list[str]:
    return pack(to_blocks(markdown), limit)


def test_a_cut_is_between_whole_characters() -> None:
    for whole in ["👩‍👩‍👧", "🇩🇪", "👍🏽", "e\u0301", "ᄒ\u1161\u11ab", "1️⃣", "กำ", "नि"]:
        text = whole * 3000
        got = parts(text)
        assert "".join(got) == text
        assert all(regex.fullmatch(rf"(?:{regex.escape(whole)})+", part) for part in got), whole


@pytest.mark.parametrize(
    ("sentence", "ends"),
    [
        ("这是一个句子，没有空格。", "。"),
        ("「引用」这样吗？」", "」"),
        ("没有句号只有逗号，没有句号只有逗号，", "，"),
        ("One sentence. ", "."),
        ("He said “so.” ", "”"),
        ("word ", "d"),
    ],
)
def test_a_cut_is_at_a_sentence_a_clause_or_a_word(sentence: str, ends: str) -> None:
    got = parts(sentence * 1000)
    assert len(got) > 1
    assert {part[-1] for part in got[:-1]} == {ends}
    assert "".join(got).replace(" ", "") == (sentence * 1000).replace(" ", "")


def test_an_address_is_not_split() -> None:
    address = "https://a.b/" + "c_d/" * 100
    for before in range(LIMIT - len(address) - 2, LIMIT + 2, 37):
        got = parts("x" * before + " " + address + " and more")
        assert any(address in part for part in got)


def test_marks_are_closed_and_opened_again_at_a_cut() -> None:
    first, second = parts("**" + "bold words. " * 400 + "end**")
    assert first[0] == first[-1] == second[0] == second[-1] == "*"
    assert show(first).text + " " + show(second).text == "bold words. " * 400 + "end"


def test_a_quote_stays_a_quote() -> None:
    got = parts("> " + "quoted words. " * 400)
    assert [part[:2] for part in got] == ["> ", "> "]


def test_the_end_of_a_long_bold_text_is_with_its_button() -> None:
    texts, tail = with_tail(to_blocks("**" + "bold words. " * 400 + "end**"), LIMIT, 1024)
    assert units(tail) <= 1024
    assert " ".join(show(text).text for text in [*texts, tail]) == "bold words. " * 400 + "end"


@given(
    st.lists(st.sampled_from(["word ", "中文。", "👩‍👩‍👧", "**b** ", "`c` ", "\n", "\n\n", "x" * 50, "> ", "e\u0301"]))
)
@settings(deadline=None)
def test_each_part_is_within_the_limit_not_blank_and_the_text_is_complete(spans: list[str]) -> None:
    text = "".join(spans)
    for limit in (40, 100):
        got = parts(text, limit)
        assert all(0 < units(part) <= limit and part.strip() for part in got)
        letters = "".join(char for part in got for char in part if char.isalnum())
        assert letters == "".join(char for char in text if char.isalnum())
        assert parts(text, limit) == got


def test_fences_within_code_which_are_shown_longer_leave_each_message_within_the_limit() -> None:
    code = "```" * 40 + "x" * 2 * LIMIT
    got = pack([Block(code, code=True)], LIMIT)
    assert max(map(len, got)) <= LIMIT
    assert all(message.count("```") == 2 for message in got), "only the fences around each message"
    assert sum(message.count("x") for message in got) == 2 * LIMIT


def test_code_is_closed_and_opened_again_with_its_indentation() -> None:
    code = "\n".join("    x = 1" for _ in range(900))
    got = pack([Block(code, code=True)], LIMIT)
    assert all(part.startswith("```\n    x") and part.endswith("1\n```") for part in got)
    assert sum(part.count("x = 1") for part in got) == 900


# --- other texts that are cut ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("Connect Asana", 20, "Connect Asana"),
        ("x" * 21, 20, "x" * 19 + "…"),
        ("👍" * 11, 20, "👍" * 9 + "…"),
        ("👩‍👩‍👧" * 3, 20, "👩‍👩‍👧" * 2 + "…"),
        ("e\u0301" * 11, 20, "e\u0301" * 9 + "…"),
        ("word " * 5, 20, "word word word word…"),
    ],
)
def test_titles_are_cut_between_whole_characters(text: str, limit: int, cut: str) -> None:
    assert shortened(text, limit) == cut
    assert units(cut) <= limit


def test_a_title_that_is_cut_is_repeated_in_full() -> None:
    (body,) = render(Reply("rp_1", link=Link("https://a.b", "Connect your Asana account")))
    assert body["interactive"]["body"]["text"] == "Connect your Asana account"
    long = "A choice with a title of forty letters…"
    (body,) = render(Reply("rp_1", "Which?", choices=(OfferedChoice("a", long),)))
    assert body["interactive"]["action"]["sections"][0]["rows"] == [
        {"id": "a", "title": "A choice with a title o…", "description": long}
    ]
    (body,) = render(Reply("rp_1", "Which?", choices=(OfferedChoice("a", long, "and a description"),)))
    assert body["text"]["body"] == f"Which?\n\n1. {long} – and a description"


# --- a reply that was begun under the previous rule ----------------------------------------------------------------


def test_a_reply_begun_under_the_previous_rule_is_finished_under_it() -> None:
    reply = Reply("rp_1", "**a** `b` https://a.b/__init__.py\n\n" + "word " * 1000)
    assert SPLIT_VERSION == "3"
    assert set(RULES) == {"2", "3"}
    texts = [body["text"]["body"] for body in render(reply, "2")]
    assert texts == split_rule_2.pack(split_rule_2.to_blocks(reply.text), LIMIT)
    assert texts[0].startswith("*a* `b` https://a.b/*init*.py")


# --- the amount of work --------------------------------------------------------------------------------------------

UNITS = [
    *("*", "**", "***a ", "*a _b ", "a* ", "*_~", "__a", "~a ~", "(a)*b*(c) ", r"\*x\* ", "**a** ", "**中**文"),
    *("[", "![", "[a](", "[a](b ", "[]", "a](b) ", "[![a](https://b.c)](https://d.e) ", "![a"),
    *("`", "` ", "`a` ", "``", "&", "&a", "&amp;", "<", "<a", "\\", "\\*", "\\a ", "C:\\_"),
    *("> ", "> a\n", "- ", "- a\n", "1. ", "# ", "# a\n", "a\n", "a\n\n", "|", "|a|b|\n", "|-|\n", "```\na\n", "===\n"),
    *("\u0301", "👩‍👩‍👧", "🇩", "ᄒ", "a@", "a.", "www.", "https://", "https://a.b/_c_ ", "word ", " ", "。", "a_b "),
]


def work(act: Callable[[], Any]) -> int:
    """Executed lines of Python: a count instead of a clock."""
    count = 0

    def trace(*_: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_twice_the_text_is_twice_the_work(unit: str) -> None:
    def of(count: int) -> int:
        return work(lambda: parts("a" + unit * count, 100))

    once, twice = of(400), of(800)
    assert twice < 2.5 * once + 1000, (once, twice)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["🇦🇹", "🇦", "👩‍👩‍👧", "\u0301", "각", "ᄒ", "नि"])
def test_four_times_the_text_takes_at_most_four_times_the_cpu_time(unit: str) -> None:
    """Includes the pattern for whole characters, which runs no Python."""

    def of(count: int) -> float:
        text, times = unit * count, []
        for _ in range(3):
            began = time.process_time()
            parts(text)
            times.append(time.process_time() - began)
        return min(times)

    assert of(20_000) < 8 * of(5_000) + 0.05


@pytest.mark.parametrize("unit", ["\u0301", "*a _b ", "["])
def test_a_character_longer_than_a_part_is_cut_anyway(unit: str) -> None:
    text = "a" + unit * 8000
    assert "".join(parts(text)).replace("\n\n", "").count(unit[0]) == 8000

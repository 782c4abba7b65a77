"""Replies as WhatsApp shows them, within its limits for any content."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.whatsapp.graph_checks import check_request
from whatsapp_gateway.markup.commonmark import to_blocks
from whatsapp_gateway.markup.graphemes import is_visible
from whatsapp_gateway.model.outbox import File, Link, OfferedChoice, Reply
from whatsapp_gateway.outbound.rendering import file_in, in_words, recipient, render

LINK = Link("https://connect.example/lk_1", "Connect Asana")


def shown(markdown: str) -> str:
    return "\n\n".join(block.shown() for block in to_blocks(markdown))


def said(**fields: Any) -> list[dict[str, Any]]:
    return render(Reply("rp_1", **fields))


def texts(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["text"]["body"] if body["type"] == "text" else body["interactive"]["body"]["text"] for body in bodies]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**b** *i* _i_ ~~s~~", "*b* _i_ _i_ ~s~"),
        ("# Head **bold**", "*Head bold*"),
        ("#", "#"),
        ("***both***", "_*both*_"),
        ("**two\nlines**", "*two*\n*lines*"),
        ("[title](https://a.b/c_d)", "title (https://a.b/c_d)"),
        ("[https://a.b](https://a.b)", "https://a.b"),
        ("<https://a.b> <a@b.c>", "https://a.b a@b.c"),
        ("![alt](https://a.b/i.png)", "alt (https://a.b/i.png)"),
        ("[**b** t](https://a.b)", "*b* t (https://a.b)"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("`co*d*e` and ``a ` b``", "`co*d*e` and ```a ` b```"),
        ("```py\nx = **1**\n\ny\n```", "```\nx = **1**\n\ny\n```"),
        ("    indented *code*", "```\nindented *code*\n```"),
        ("- a\n- b\n  - c **d**\n", "- a\n- b\n  - c *d*"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("- a\n\n  ```\n  code\n  ```", "- a\n\n```\ncode\n```"),
        ("> q\n> r", "> q\n> r"),
        ("a\n\n---\n\nb", "a\n\n———\n\nb"),
        ("a &amp; <b>raw</b> \\*x\\*", "a & <b>raw</b> `*x*`"),
        ("sources:\n\n[1]: https://a.b/x", "sources:\n\n[1]: https://a.b/x"),
        ("[Meeting]: https://a.b/j/1", "[Meeting]: https://a.b/j/1"),
        ("as [said][1]\n\n[1]: https://a.b/x 'T'", "as [said][1]\n\n[1]: https://a.b/x 'T'"),
        ("&nbsp;", "&nbsp;"),
        ("a\n\n&nbsp;", "a"),
        ("![]()", "![]()"),
        ("&#8203;&nbsp;", "&#8203;&nbsp;"),
        ("a\n\n&#8203;", "a"),
        ("\ufe0f\u200d\u00ad\u034f", ""),
        ("```\n\u200b\n```\n\n\u2800\n\n\u3164", "```\n\u200b\n```\n\n\u2800\n\n\u3164"),
        ("", ""),
        (" \n\n ", ""),
    ],
)
def test_markup(markdown: str, expected: str) -> None:
    assert shown(markdown) == expected


@pytest.mark.parametrize("text", ["\ufe0f\u200d\u00ad\u034f", "\u200b" * 9000, "\u2060\n\n\u2800", "\u3164 \u200f"])
def test_no_invisible_message_is_sent(text: str) -> None:
    assert said(text=text) == []
    assert texts(said(text=text, link=LINK)) == ["Connect Asana"]


@pytest.mark.parametrize("link", [None, LINK])
def test_no_part_is_invisible(link: Link | None) -> None:
    bodies = texts(said(text="a" + "\u200b" * 9000 + "b" + "\u200b" * 9000, link=link))
    assert all(map(is_visible, bodies))
    assert "".join(bodies).replace("\u200b", "").startswith("ab")


@pytest.mark.parametrize("levels", [40, 300, 600, 3000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("*", "*"), ("_", "_"), ("*a ~~b ", " b~~ a*"), ("> ", ""), ("- ", ""), ("1. ", "")]
)
def test_unbounded_nesting_is_shown_as_written(opening: str, closing: str, levels: int) -> None:
    text = opening * levels + "a" + closing * levels
    assert shown(text) == text


def test_realistic_nesting_is_rendered() -> None:
    lines = ["  " * level + "- **a**" for level in range(8)]
    assert shown("\n".join(lines)) == "\n".join(line.replace("**", "*") for line in lines)
    assert shown("> " * 16 + "**a**") == "> " * 16 + "*a*"
    assert shown("*a ~~b " * 4 + "c" + " b~~ a*" * 4) == "_a ~b a b a b a b c b a b a b a b~ a_"


@pytest.mark.parametrize(("opening", "closing"), [("*", "*"), ("> ", ""), ("- ", ""), ("1. > ", "")])
def test_deeply_nested_text_is_not_lost(opening: str, closing: str) -> None:
    assert [levels for levels in range(50) if "a" not in shown(opening * levels + "a" + closing * levels)] == []


def test_short_text_is_one_message() -> None:
    assert said(text="# Hi\n\nthere") == [{"type": "text", "text": {"body": "*Hi*\n\nthere", "preview_url": False}}]


def test_long_text_is_cut_between_paragraphs() -> None:
    paragraphs = [f"{number}" + "x" * 1999 for number in range(5)]
    assert texts(said(text="\n\n".join(paragraphs))) == [
        "\n\n".join(paragraphs[:2]),
        "\n\n".join(paragraphs[2:4]),
        paragraphs[4],
    ]


@pytest.mark.parametrize(("second", "parts"), [(1023, 1), (1024, 2)])
def test_a_message_holds_4096_utf_16_units(second: int, parts: int) -> None:
    assert len(said(text="é" * 2048 + "\n\n" + "👍" * second)) == parts


def test_a_long_paragraph_is_cut_at_sentences_then_words_then_anywhere() -> None:
    sentences = "One sentence here. " * 300
    parts = texts(said(text=sentences))
    assert all(part.endswith(".") and part.startswith("One") for part in parts)
    words = texts(said(text="word " * 1000))
    assert " ".join(words) == ("word " * 1000).strip()
    assert [len(part) for part in texts(said(text="x" * 5000))] == [4096, 904]


def test_an_emoji_of_several_characters_is_not_split() -> None:
    family = "👩‍👩‍👧"
    first, second = texts(said(text="x" * 4094 + family + "y"))
    assert (first, second) == ("x" * 4094, family + "y")


def test_long_code_stays_code_in_each_part() -> None:
    lines = [f"line {number:04}" for number in range(900)]
    parts = texts(said(text="Look:\n\n```\n" + "\n".join(lines) + "\n```\n\nDone."))
    assert len(parts) > 2
    code = [part.removeprefix("Look:\n\n").removesuffix("\n\nDone.") for part in parts]
    assert all(part.startswith("```\n") and part.endswith("\n```") for part in code)
    kept = "\n".join(part.removeprefix("```\n").removesuffix("\n```").replace("\n```\n\n```", "") for part in code)
    assert kept.split("\n") == lines


def test_a_link_is_a_button_under_the_text() -> None:
    (body,) = said(text="Please **connect**", link=LINK)
    assert body["interactive"] == {
        "type": "cta_url",
        "body": {"text": "Please *connect*"},
        "action": {"name": "cta_url", "parameters": {"display_text": "Connect Asana", "url": LINK.url}},
    }


def test_a_link_with_a_lifetime_shows_it() -> None:
    (body,) = said(text="Please connect", link=replace(LINK, minutes=30))
    assert body["interactive"]["footer"] == {"text": "Good for 30 minutes"}


def test_a_link_under_long_text_keeps_the_end_of_it() -> None:
    text = "\n\n".join("x" * 600 for _ in range(4))
    first, second = said(text=text, link=LINK)
    assert first["text"]["body"] == "\n\n".join("x" * 600 for _ in range(3))
    assert second["interactive"]["body"]["text"] == "x" * 600


def test_a_link_under_one_long_paragraph_repeats_nothing() -> None:
    words = " ".join(f"{number}" for number in range(1000))
    parts = texts(said(text=words, link=LINK))
    assert " ".join(parts) == words
    assert [len(part) <= limit for part, limit in zip(parts, [4096, 1024], strict=True)] == [True, True]


def test_a_link_without_text_and_an_invalid_link() -> None:
    assert texts(said(link=LINK)) == ["Connect Asana"]
    assert texts(said(text="See", link=Link("ftp://x", "File"))) == ["See\n\nFile (ftp://x)"]


def test_up_to_three_choices_are_buttons_up_to_ten_a_list_and_more_a_text() -> None:
    choices = [OfferedChoice(f"id{number}", f"Choice {number}") for number in range(11)]
    (buttons,) = said(text="Which?", choices=tuple(choices[:3]))
    assert [button["reply"]["id"] for button in buttons["interactive"]["action"]["buttons"]] == [
        "id0",
        "id1",
        "id2",
    ]
    (rows,) = said(text="Which?", choices=tuple(choices[:10]))
    assert len(rows["interactive"]["action"]["sections"][0]["rows"]) == 10
    (lines,) = said(text="Which?", choices=tuple(choices))
    assert lines["text"]["body"].startswith("Which?\n\n1. Choice 0\n2. Choice 1\n")


@pytest.mark.parametrize(
    "choices",
    [
        (OfferedChoice("a", "A title of 21 letters"),),
        (OfferedChoice("a", "A", "described"),),
        (OfferedChoice("a", "Same"), OfferedChoice("b", "Same")),
    ],
)
def test_choices_that_do_not_fit_buttons_are_a_list(choices: tuple[OfferedChoice, ...]) -> None:
    (body,) = said(text="Which?", choices=choices)
    assert body["interactive"]["type"] == "list"


@pytest.mark.parametrize(
    "choices",
    [
        (OfferedChoice("", "A"),),
        (OfferedChoice("a", " "),),
        (OfferedChoice("x" * 201, "A"),),
        (OfferedChoice("a", "A"), OfferedChoice("a", "B")),
    ],
)
def test_choices_that_whatsapp_would_reject_are_lines(choices: tuple[OfferedChoice, ...]) -> None:
    (body,) = said(text="Which?", choices=choices)
    assert body["text"]["body"].startswith("Which?\n\n1. ")


def test_one_message_is_used_if_it_can_hold_everything() -> None:
    """Each message is billed: text is sent together with its button, its quote and its choices."""
    assert len(said(text="x" * 1024, link=LINK, quoted_id="wamid.0")) == 1
    assert len(said(text="x" * 1024, choices=(OfferedChoice("a", "A"),), quoted_id="wamid.0")) == 1
    assert len(said(text="x" * 4096)) == 1
    assert len(said(text="x" * 1025, link=LINK)) == 2
    assert len(said(text="\n\n".join(["x" * 1000] * 5), link=LINK)) == 2


def test_only_the_first_part_quotes() -> None:
    first, second = said(text="x" * 5000, quoted_id="wamid.0")
    assert first["context"] == {"message_id": "wamid.0"}
    assert "context" not in second


def test_a_reaction_is_first_and_may_be_alone() -> None:
    reaction = {"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}}
    assert said(reaction_to="wamid.0", reaction="👍") == [reaction]
    assert said(text="ok", reaction_to="wamid.0", reaction="👍")[0] == reaction


@pytest.mark.parametrize(
    ("user_id", "field"),
    [
        ("whatsapp:US.1A", {"recipient": "US.1A"}),
        ("whatsapp:US.ENT.1A", {"recipient": "US.ENT.1A"}),
        ("whatsapp:15550001", {"to": "15550001"}),
        ("whatsapp:+1555", None),
        ("telegram:42", None),
        ("whatsapp:", None),
    ],
)
def test_the_recipient(user_id: str, field: dict[str, str] | None) -> None:
    assert recipient(user_id) == (field and {"recipient_type": "individual"} | field)


SPAN = st.sampled_from(
    [
        "word ",
        "**b** ",
        "*i",
        "`c` ",
        "\n",
        "\n\n",
        "- ",
        "> ",
        "```\n",
        "# ",
        "é👩‍👧",
        "~~",
        "[t](",
        "[t]: u",
        "&nbsp;",
        "*" * 50,
        "> " * 25,
        "1. ",
        "    ",
    ]
)
MARKDOWN = st.lists(SPAN | st.text(max_size=5) | st.just("x" * 900), max_size=40).map("".join)
OFFERS = st.lists(
    st.builds(OfferedChoice, st.uuids().map(str) | st.text(max_size=2), st.text(max_size=24), st.text(max_size=80)),
    max_size=12,
)


@pytest.mark.parametrize(
    ("mime_type", "voice", "audio"),
    [
        ("audio/ogg", True, {"id": "m_1", "voice": True}),
        ("audio/ogg; codecs=opus", True, {"id": "m_1", "voice": True}),
        ("audio/ogg", False, {"id": "m_1"}),
        ("audio/mpeg", True, {"id": "m_1"}),
    ],
)
def test_only_opus_is_shown_as_a_voice_message(mime_type: str, voice: bool, audio: dict[str, Any]) -> None:
    text, file = render(Reply("rp_1", "Noon.", files=(File("m_1", mime_type, "voice.ogg", 9, voice=voice),)))
    assert text["text"]["body"] == "Noon."
    assert file == {"type": "audio", "audio": audio}


MIME_TYPES = ("image/png", "audio/mpeg", "video/mp4", "application/pdf", "text/csv", "application/zip")
FILES = st.lists(
    st.builds(File, st.uuids().map(str), st.sampled_from(MIME_TYPES), st.text(max_size=100), st.just(9)), max_size=3
)


@given(MARKDOWN, st.none() | st.builds(Link, st.just(LINK.url), st.text(max_size=30)), OFFERS, FILES)
@settings(max_examples=300, deadline=None)
def test_whatsapp_accepts_any_content(
    text: str, link: Link | None, choices: list[OfferedChoice], files: list[File]
) -> None:
    reply = Reply("rp_1", text, link, tuple(choices), tuple(files), quoted_id="wamid.0")
    bodies = render(reply)
    assert render(reply) == bodies
    for body in bodies:
        check_request({"messaging_product": "whatsapp", "recipient": "US.1"} | body)
    assert bodies or not (is_visible(text) or link or choices or files)
    borne = [file for body in bodies if (file := file_in(body, files))]
    assert borne == [file for file in files if file.mime_type != "application/zip"]
    for body, file in zip(bodies[-len(borne) :], borne, strict=bool(borne)):
        check_request({"messaging_product": "whatsapp", "recipient": "US.1"} | in_words(body, file))

"""The text of a reminder becomes a parameter that WhatsApp takes, and the template stays as it was approved."""

import pytest

from emulators.whatsapp.graph_checks import check_request
from emulators.whatsapp.shapes import TemplateSend
from emulators.whatsapp.templates import Templates
from whatsapp_gateway.markup.graphemes import units
from whatsapp_gateway.outbound.template_messages import MOST_UNITS, NO_TEXT, Template, one_line

REMINDER = Template("reminder", "en_US", takes_reminder=True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("call Ada", "call Ada"),
        ("# Today\n\n- call **Ada**\n- buy milk\n", "*Today* - call *Ada* - buy milk"),
        ("a\tb\r\nc\u2028d\x0be\x1ff\x85g", "a b c d e f g"),
        ("wait" + " " * 9 + "here", "wait here"),
        ("see [the plan](https://example.org/a_b)", "see the plan (https://example.org/a_b)"),
        ("👨‍👩‍👧 dinner", "👨‍👩‍👧 dinner"),
        ("", NO_TEXT),
        (" \n\t ", NO_TEXT),
        ("\u200d\u00ad", NO_TEXT),
    ],
)
def test_a_text_in_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize("text", ["x" * 5000, "👍" * 2000, "word " * 900, "**bold** " * 700, "\n".join("ab" * 900)])
def test_a_long_text_is_cut(text: str) -> None:
    line = one_line(text)
    assert MOST_UNITS - 20 <= units(line) <= MOST_UNITS
    assert line.endswith("…")


@pytest.mark.parametrize(
    "text", ["{{1}} {{2}}", "x" * 9000, "a\n\n\n\tb", "", "\x00", "```\ncode\n```", "| a |\n|---|\n| 1 |"]
)
def test_whatsapp_takes_the_message(text: str) -> None:
    for param in REMINDER.texts(text):
        body = {"messaging_product": "whatsapp", "recipient": "US.1"} | REMINDER.message(param)
        send = check_request(body)
        assert isinstance(send, TemplateSend)
        assert Templates().checked(send).said(send) == f"Your reminder: {param}"

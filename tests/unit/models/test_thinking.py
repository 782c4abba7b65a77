from __future__ import annotations

import pytest

from kernel_service.models.thinking import SpokenPart, without_thinking

CASES = [
    ("Hi", "Hi"),
    ("<think>hm</think>Hi", "Hi"),
    ("\n<think>\nhm\n</think>\n\nHi\n", "Hi\n"),
    ("<think></think>Hi", "Hi"),
    ("<think>hm", ""),
    ("< 3", "< 3"),
    ("<thinking is hard", "<thinking is hard"),
    ("Use <think> in HTML", "Use <think> in HTML"),
    ("<", "<"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "said"), [*CASES, ("hm</think>Hi", "Hi")])
def test_reasoning_in_the_text_is_not_said(text: str, said: str) -> None:
    assert without_thinking(text) == said


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(("text", "said"), CASES)
def test_nor_while_it_comes(text: str, said: str, size: int) -> None:
    part = SpokenPart()
    told = [part.take(text[start : start + size]) for start in range(0, len(text), size)]
    assert "".join(told) + part.end() == said

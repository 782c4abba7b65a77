from __future__ import annotations

import pytest

from kernel_service import texts
from kernel_service.turns.replies.spoken_text import MOST_LETTERS, spoken_text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Good morning.", "Good morning."),
        ("**Good** _morning_, `Ada` ~~no~~.", "Good morning, Ada no."),
        ("# Today\n\n- one\n- two\n\n---\n\n> three", "Today\n\none\ntwo\n\nthree"),
        ("See [the page](https://example.org/a_b 'x') or https://example.org/c?d=1.", "See the page or."),
        ("![a cat](https://example.org/cat.png) sits", "a cat sits"),
        ("Run:\n```sh\nrm -rf /\n```\nDone.", "Run:\n\nDone."),
        ("```\nonly code\n", ""),
        ("https://example.org", ""),
        ("🎉", ""),
        ("snake_case stays, 2 * 3 = 6", "snake_case stays, 2 * 3 = 6"),
        ("**3*4*5** is *60*, **2**", "3*4*5 is 60, 2"),
        ("| Day | Rain |\n|:--|--:|\n| Mon | **2** |\n|Tue|0|", "Day, Rain\n\nMon, 2\nTue, 0"),
        ("See [Rome](https://example.org/Rome_(city)). Or https://example.org/a, as told.", "See Rome. Or, as told."),
        ("Привет, как дела?", "Привет, как дела?"),
        ("", ""),
    ],
)
def test_a_voice_says_words_alone(answer: str, said: str) -> None:
    assert spoken_text(answer) == said.strip()


@pytest.mark.parametrize("answer", ["A sentence. " * 400, "word " * 4000, "x" * 20_000, "很长。" * 3000])
def test_a_long_answer_is_said_in_part(answer: str) -> None:
    said = spoken_text(answer)
    assert len(said) <= MOST_LETTERS
    assert said.endswith(texts.answers.REST_IN_TEXT)
    assert answer.startswith(said.removesuffix(texts.answers.REST_IN_TEXT).strip())


def test_a_long_answer_in_ideographs_takes_no_longer_and_ends_with_a_sentence() -> None:
    said = spoken_text("今天天气很好，我们去公园散步吧。" * 100).removesuffix(texts.answers.REST_IN_TEXT).strip()
    assert said.endswith("。")
    assert MOST_LETTERS / 6 < len(said) < MOST_LETTERS / 3

from __future__ import annotations

import pytest

from kernel_service import texts
from kernel_service.turns.replies.spoken_text import MOST_CHARS, spoken_text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Good morning.", "Good morning."),
        ("**Good** _morning_, `Ada` ~~no~~.", "Good morning, Ada no."),
        ("# Today\n\n- one\n- two\n\n---\n\n> three", "Today\n\none\ntwo\n\nthree"),
        ("See [the page](https://example.org/a_b 'x') or https://example.org/c?d=1.", "See the page or "),
        ("![a cat](https://example.org/cat.png) sits", "a cat sits"),
        ("Run:\n```sh\nrm -rf /\n```\nDone.", "Run:\n\nDone."),
        ("```\nonly code\n", ""),
        ("https://example.org", ""),
        ("🎉", ""),
        ("snake_case stays, 2 * 3 = 6", "snake_case stays, 2  3 = 6"),
        ("Привет, как дела?", "Привет, как дела?"),
        ("", ""),
    ],
)
def test_a_voice_says_words_alone(answer: str, said: str) -> None:
    assert spoken_text(answer) == said.strip()


@pytest.mark.parametrize("answer", ["A sentence. " * 400, "word " * 4000, "x" * 20_000, "很长。" * 3000])
def test_a_long_answer_is_said_in_part(answer: str) -> None:
    said = spoken_text(answer)
    assert len(said) <= MOST_CHARS
    assert said.endswith(texts.answers.REST_IN_TEXT)
    assert answer.startswith(said.removesuffix(texts.answers.REST_IN_TEXT).strip())

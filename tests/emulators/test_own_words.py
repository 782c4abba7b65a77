from __future__ import annotations

import pytest

from emulators.openai.own_words import own_words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("hello [you]", ["hello [you]"]),
        ("[This answers what you said before: “Hi”]\nyes", ["yes"]),
        ("[Forwarded by the person; another person wrote the following.]\nbuy now", []),
        ("[The person changed an earlier message; it now reads:]\nlist my tasks", ["list my tasks"]),
        ("(voice) call Ada", ["call Ada"]),
        ("[image: image/png, 68 bytes, sha256 0123456789abcdef]\nmy cat", ["my cat"]),
        ("[The person took an earlier message back. Act as if it had not been sent.]", []),
        ("[The person approved ASANA_DELETE_TASK with their button. It is done now, as they were asked:]", []),
        ("[The person refused ASANA_DELETE_TASK with their button. It was not done.]", []),
        ("[A reminder that the person set is due. It was sent to them:]\nCall Ada", []),
        ("[A schedule that the person set is due. Do now what it asks for:]\nlist my tasks", []),
        ("[Something happened in Gmail that the person waits for. They asked for this:]\nbank\n[{}]", []),
    ],
)
def test_notes_of_the_system_are_no_words_of_the_person(message: str, words: list[str]) -> None:
    assert own_words([message]) == words


def test_requests_that_waited_for_a_connection_are_told_once() -> None:
    resumed = "[Asana is connected now. The work that waited for it is above: the person's own messages, …]"
    assert own_words(["hello", "list my tasks", "and my mails", "list my tasks", resumed, "thanks"]) == [
        *("hello", "list my tasks", "and my mails", "thanks")
    ]

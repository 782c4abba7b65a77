"""Commands as people write them, and texts that only look like commands."""

from __future__ import annotations

import time

import pytest

from kernel_service.inbox.codes import MOST_CODES, codes_in, is_code_alone, is_written_as_shown
from kernel_service.inbox.commands import command_of, facts_to_forget
from kernel_service.inbox.phrases import LONGEST
from kernel_service.ports.commands import Command
from kernel_service.ports.payloads import Choice, Edit, Image, Opened, Payload, Text, Unsupported

STOPS = [
    "stop", "Stop.", "STOP!!", "stop please", "please stop", "/stop", "cancel", "stop it", "Stop it!", "pls stop",
    "stop, please.", "stop now", "ok stop", "STOP STOP STOP", "no, stop!", "stop that", "stop everything", "hey, stop",
    "stop!!! 🛑", "*stop*", "“Stop”", "  stop  \n", "stop\nplease", "ｓｔｏｐ", "st\u200bop", "/STOP", "/stop@the_bot",
    "/cancel", "Cancel!", "please cancel", "stop thank you", "stop…",
    "stop all", "stop right now", "Stop right now!!", "abort", "oh stop", "Oh, stop it!", "can you stop please?",
    "could you please stop that?", "can you stop", "never mind, stop", "no no stop", "NO! STOP!", "no\nstop",
    "no stop it",
]  # fmt: skip
TAKING_BACK = [
    "cancel it", "Cancel that!", "cancel everything", "cancel all", "never mind", "Nevermind.", "oh never mind, thanks",
    "abort that", "can you cancel it?", "please cancel that now",
]  # fmt: skip
NEW_CHATS = [
    "new chat", "/new", "New chat!", "start over", "/reset", "NEW  CHAT", "new chat please", "Please start over.",
    "newchat", "new-chat", "/newchat", "/new_chat", "/new chat", "/clear", "/new@the_bot", "start a new chat",
    "Let's start over", "let’s start over!", "start all over again", "start afresh", "new conversation", "new\nchat",
    "ok, new chat", "ｎｅｗ　ｃｈａｔ", "🆕 new chat 🙏", "reset this chat", "clear the conversation", "/Reset.",
        "new convo", "fresh start", "start a fresh chat", "startover", "／new",
]  # fmt: skip
PERMISSIONS = [
    "what may you do without asking?", "What can you do without asking me", "what do you do without asking me again?",
    "show my permissions", "List permissions", "what have I allowed you to do?", "/permissions",
    "show me my permissions",
]  # fmt: skip
ASKING_AGAIN = [
    "ask me again", "Ask me again, please.", "always ask me again", "ask me first", "always ask", "ask me every time",
    "ask me before everything", "revoke my permissions", "withdraw all permissions", "ask me again for updating tasks",
    "please ask me again 2", "take back my permissions",
]  # fmt: skip
MESSAGES = [
    "what may you do", "permissions", "ask me", "ask me a riddle again", "do not ask me again", "ask her again",
    "show permissions of the folder", "shall I ask me again?", "don't ask me first",
    "stop sending me reports at 9", "stop the music", "don't stop", "do not stop", "non-stop", "stopp", "st op", "",
    "stop?", "when does the bus stop", "cancel the meeting", "yes, cancel", "stop and go", "!", "/",
    "the new chat app is nice", "new chat with Anna about taxes", "new", "reset", "let's start over tomorrow",
    "new chat?", "is this a new chat", "no new chat", "reset my password", "/newsletter", "/start", "clear",
    "start over the top", "what does /reset do", "1", "stop\nthe reports", "new chat: what is the weather", "forget it",
    "no stop", "No stop!", "no stop please", "never stop", "can you stop the music?", "should I stop?", "oh",
    "abort the upload", "can you cancel my flight?", "nevermind the gap", "can you start over?", "do you stop?",
]  # fmt: skip


@pytest.mark.parametrize("text", STOPS)
def test_stop_phrases_are_recognized(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.STOP


@pytest.mark.parametrize("text", PERMISSIONS)
def test_permission_queries_are_recognized(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.PERMISSIONS
    assert command_of(Payload(Text(text), forwarded=True), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize("text", ASKING_AGAIN)
def test_ask_again_phrases_are_recognized(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.ASK_AGAIN
    assert command_of(Payload(Text(text), forwarded=True), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about me?", "what do you remember about me", "What have you remembered about me?",
        "show me everything you know about me", "can you tell me what you know about me?", "What's in your memory?",
        "list my facts", "do you know anything about me?", "What information do you have about me", "/memory",
        "please tell me what you have stored about me",
    ],
)  # fmt: skip
def test_questions_about_the_memory_are_recognized(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.FACTS
    assert command_of(Payload(Text(text), forwarded=True), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("forget everything you know about me", None), ("Forget everything about me!", None),
        ("can you please delete all you know about me?", None), ("clear your memory", None),
        ("erase all my facts", None), ("Forget fact 3", [3]), ("forget facts #3, 5 and 12 please", [3, 5, 12]),
        ("can you delete fact no. 7?", [7]),
    ],
)  # fmt: skip
def test_requests_to_forget_are_recognized(text: str, numbers: list[int] | None) -> None:
    payload = Payload(Text(text))
    assert command_of(payload, under_way=lambda: True) is Command.FORGET
    assert facts_to_forget(payload) == numbers
    assert command_of(Payload(Text(text), forwarded=True), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about Rome?", "what do you know about me and Bob", "what do you remember",
        "forget it", "forget me", "forget 3", "did you forget everything about me?", "forget fact 3?",
        "forget that fact", "forget everything",
        "delete fact 3 from the document", "what does Bob know about me",
    ],
)  # fmt: skip
def test_other_words_about_memory_are_for_the_assistant(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize("text", TAKING_BACK)
def test_cancel_it_is_stop_only_while_something_is_under_way(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.STOP
    assert command_of(Payload(Text(text)), under_way=lambda: False) is Command.NONE


@pytest.mark.parametrize("text", NEW_CHATS)
def test_new_chat_phrases_are_recognized(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.NEW_CHAT


@pytest.mark.parametrize("text", [*MESSAGES, "stop " * LONGEST])
def test_longer_texts_with_command_words_are_messages(text: str) -> None:
    assert command_of(Payload(Text(text)), under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize(
    "payload", [Payload(Text("new chat"), forwarded=True), Payload(Image(), caption="stop"), Payload(Unsupported())]
)
def test_forwarded_and_captioned_phrases_are_not_commands(payload: Payload) -> None:
    assert command_of(payload, under_way=lambda: True) is Command.NONE


@pytest.mark.parametrize(
    "text",
    [
        "XNDW-HVXB", "xndw hvxb", "XNDWHVXB.", "my code is XNDW-HVXB, thanks", "Connect XNDW-HVXB", "XNDW–HVXB",
        "XNDW — HVXB", "xndw‑hvxb", "the code:\n\nXNDW\nHVXB\n", "Connect\nXNDW-HVXB", "ＸＮＤＷ－ＨＶＸＢ",
        "*XNDW-HVXB*", "*XNDW*-*HVXB*", "XNDW_HVXB", "(xndw-hvxb)", "“XNDW-HVXB”", "XNDW\u2060-\u200bHVXB",
        "XNDW.HVXB", "it says XNDW-HVXB 👍", "hier ist er: XNDW-HVXB", "XNDW - HVXB!", "`XNDW-HVXB`", "XNDW−HVXB",
        "X N D W - H V X B", "x n d w h v x b", "it is X.N.D.W. H.V.X.B.", "コードはXNDW-HVXBです", "代码XNDW-HVXB",
        "我的验证码是XNDW-HVXB，谢谢", "รหัสคือXNDW-HVXBครับ", "코드는 XNDW-HVXB입니다", "кодxndw-hvxbспасибо",
        "رمزيXNDW-HVXBشكرا",
        "XNDW, HVXB", "XNDW/HVXB", "XNDW: HVXB", "XNDW+HVXB", "XNDW|HVXB", "XNDW=HVXB", "XNDW -> HVXB", "XNDWーHVXB",
        "XNDW、HVXB", "ConnectXNDW-HVXB", "connectxndw-hvxb", "https://wa.me/1555?text=Connect%20XNDW-HVXB",
        "text=Connect+XNDW-HVXB", "X-N-D-W-H-V-X-B", "x, n, d, w, h, v, x, b", "codeXNDW-HVXB", "Kod: XNDW-HVXBdir",
    ],
)  # fmt: skip
def test_codes_are_found_in_any_spelling(text: str) -> None:
    assert codes_in(text) == ["XNDW-HVXB"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "strength",
        "XNDW-HVXBK",
        "1XNDW-HVXB",
        "XNDW-HVX",
        "XNDW and HVXB",
        "schnapps",
        "éxndw-hvxb",
        "xndw-hvxbß",
    ],
)
def test_ordinary_words_are_not_codes(text: str) -> None:
    assert codes_in(text) == []


def test_code_after_an_abbreviation_is_found() -> None:
    assert codes_in("for the GmbH XNDW-HVXB") == ["GMBH-XNDW", "XNDW-HVXB"]


def test_edited_text_is_read_in_its_new_form() -> None:
    assert command_of(Payload(Edit("m1", "Stop!")), under_way=lambda: True) is Command.STOP
    assert command_of(Payload(Edit()), under_way=lambda: True) is Command.NONE


def test_text_that_guesses_codes_has_no_code() -> None:
    tried = [f"{first}NDW-HVX{last}" for first in "BCD" for last in "BCD"]
    assert len(codes_in(" and ".join(tried[:MOST_CODES]))) == MOST_CODES
    assert codes_in(" and ".join(tried)) == []


@pytest.mark.parametrize(
    ("text", "alone"), [("Connect: xndw hvxb!", True), ("🔑 XNDWHVXB", True), ("it is XNDWHVXB", False)]
)
def test_code_alone_has_no_other_words(text: str, *, alone: bool) -> None:
    assert is_code_alone(text) is alone


@pytest.mark.parametrize(
    ("text", "shown"),
    [("XNDW-HVXB", True), ("Connect xndw-hvxb.", True), ("XNDW–HVXB", True), ("hmmm hmmm", False), ("HMMMMMMM", False)],
)
def test_code_is_recognized_as_the_page_shows_it(text: str, *, shown: bool) -> None:
    assert is_written_as_shown(text) is shown


@pytest.mark.parametrize(
    "text",
    [
        "BCDF" * 16_000,
        "BCDF " * 13_000,
        "b c d f " * 8_000,
        "-" * 65_000,
        "ﷺ" * 16_000,
        "b-" * 32_000,
        "BCDF,,," * 9_000,
    ],
)
def test_long_text_is_read_in_linear_time(text: str) -> None:
    began = time.perf_counter()
    codes_in(text)
    command_of(Payload(Text(text)), under_way=lambda: True)
    assert time.perf_counter() - began < 2.0


@pytest.mark.parametrize("forwarded", [False, True])
def test_opening_the_chat_is_a_command_and_no_words_are(*, forwarded: bool) -> None:
    assert command_of(Payload(Opened(), forwarded=forwarded), under_way=lambda: True) is Command.OPENED
    assert command_of(Payload(Choice("kernel:open_window", "Show")), under_way=lambda: True) is Command.NONE

from __future__ import annotations

import pytest

from kernel_service.errors import KernelError
from kernel_service.people.identity import check_user_id, given_ids
from kernel_service.ports.messages import Alias

LONGEST = "test:" + "x" * 195


@pytest.mark.parametrize(
    "user_id",
    [
        "test:42",
        "test:US.13491208655302741918",
        "test:+39 055 1234",
        "test:a:b",
        "test:défault",
        "test:defaults",
        "test:😀",
        "test:12@example.org",
        LONGEST,
    ],
)
def test_a_persons_own_id_is_taken(user_id: str) -> None:
    check_user_id(user_id, "test")


@pytest.mark.parametrize("channel", ["a", "my-channel_2", "0"])
def test_a_channel_is_lower_case_letters_digits_and_dashes(channel: str) -> None:
    check_user_id(f"{channel}:42", channel)


def refusal(user_id: str, channel: str = "test") -> tuple[str, str]:
    with pytest.raises(KernelError) as refused:
        check_user_id(user_id, channel)
    assert "42" not in refused.value.sentence
    return refused.value.status, refused.value.reason


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "default",
        "default_user",
        "test:",
        "test:default",
        "test:default_user",
        "test:DEFAULT_User",
        ":",
        "Default",
    ],
)
def test_an_id_that_everyone_would_share_is_reserved(user_id: str) -> None:
    assert refusal(user_id) == ("INVALID_ARGUMENT", "USER_ID_RESERVED")


@pytest.mark.parametrize(
    "user_id",
    [
        "42",
        "Test:42",
        "tést:42",
        "te st:42",
        "test\n:42",
        ":42",
        LONGEST + "x",
        "test:" + "é" * 98,
        "test:4,2",
        "test:42 ",
        "test: 42",
        " test:42",
        "test:42\u00a0",
        "test:\u300042",
        "test: ",
        "test:4\n2",
        "test:42\x00",
        "test:4\x7f2",
        "test:default\u200b",
        "test:\ufeff42",
        "test:4\u202e2",
        "test:4\u20282",
        "test:\ud800",
    ],
)
def test_a_malformed_id_is_invalid(user_id: str) -> None:
    assert refusal(user_id) == ("INVALID_ARGUMENT", "USER_ID_INVALID")


def test_another_channels_id_is_not_the_callers() -> None:
    assert refusal("whatsapp:42", "telegram") == ("PERMISSION_DENIED", "CHANNEL_MISMATCH")


def test_the_sender_is_strong_unless_the_aliases_state_otherwise() -> None:
    phone = Alias("test:+1", strong=False, scope="portfolio")
    assert given_ids("test:42", [phone]) == [Alias("test:42"), phone]
    assert given_ids("test:+1", [phone]) == [phone]


def test_an_id_given_twice_has_the_weaker_strength() -> None:
    weak, strong = Alias("test:42", strong=False), Alias("test:42")
    assert given_ids("test:42", [weak, strong]) == given_ids("test:42", [strong, weak]) == [weak]

from __future__ import annotations

import pytest

from kernel_service.api.pages import Page
from kernel_service.errors import CallerError

ROWS = [f"{number:04}" for number in range(250)]


def pages(size: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        shown, token = Page(size, token, "numbers").of(ROWS, key=str)
        found.append(list(shown))
        if not token:
            return found


@pytest.mark.parametrize(("size", "counts"), [(0, [100, 100, 50]), (125, [125, 125]), (249, [249, 1]), (5000, [250])])
def test_pages_hold_every_row_once(size: int, counts: list[int]) -> None:
    assert [len(page) for page in pages(size)] == counts
    assert [row for page in pages(size) for row in page] == ROWS


def test_a_row_deleted_or_inserted_between_pages_shifts_no_other() -> None:
    _, token = Page(10, "", "numbers").of(ROWS, key=str)
    assert Page(1, token, "numbers").of(ROWS[5:], key=str)[0] == ["0010"]
    assert Page(1, token, "numbers").of(["0000a", *ROWS], key=str)[0] == ["0010"]


def token_of(*scope: str) -> str:
    return Page(1, "", *scope).next_token("0001")


@pytest.mark.parametrize(
    "token",
    [
        token_of("turns", "p_1"),
        token_of("replies", "p_2"),
        token_of("replies"),
        token_of("replies", "p_1")[:-2],
        "0001",
        "é",
        "=",
        "\0",
        "A" * 500,
        Page(1, "", "replies", "p_1").next_token("\0")[:8],
    ],
)
def test_a_token_of_another_list_or_an_invalid_one_is_rejected(token: str) -> None:
    with pytest.raises(CallerError, match="page_token") as refused:
        Page(1, token, "replies", "p_1")
    assert (refused.value.reason, refused.value.field) == ("FIELD_INVALID", "page_token")

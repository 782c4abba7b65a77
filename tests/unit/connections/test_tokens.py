"""The MAC that tells issued links from forged ones before any look-up."""

from __future__ import annotations

import re

import pytest

from kernel_service.connections.tokens import Nonces, new_nonce

OURS = Nonces(b"the key of this test")


def test_each_nonce_is_ours_unlike_any_other_and_fits_into_an_address() -> None:
    nonces = {OURS.new() for _ in range(200)}
    assert len(nonces) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", nonce) and OURS.is_ours(nonce.encode()) for nonce in nonces)


def test_another_process_with_the_same_key_knows_it() -> None:
    assert Nonces(b"the key of this test").is_ours(OURS.new().encode())


@pytest.mark.parametrize("place", [0, 20, 31, 33, 41])
def test_a_changed_one_is_not_ours(place: int) -> None:
    nonce = OURS.new()
    other = "A" if nonce[place] != "A" else "B"
    assert not OURS.is_ours(f"{nonce[:place]}{other}{nonce[place + 1 :]}".encode())


@pytest.mark.parametrize("nonce", [b"", b"=" * 43, b"\xff" * 43, b"A" * 42, b"A" * 43, b"A" * 44])
def test_malformed_nonces_are_not_ours(nonce: bytes) -> None:
    assert not OURS.is_ours(nonce)


def test_nonces_that_were_not_issued_are_not_ours() -> None:
    ours = OURS.new()
    for nonce in (new_nonce(), Nonces(b"another key").new(), f"{ours}A", ours[:-1]):
        assert not OURS.is_ours(nonce.encode())

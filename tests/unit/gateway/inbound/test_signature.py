import hashlib
import hmac

import pytest

from whatsapp_gateway.inbound.signature import is_signed

RAW = b'{"entry": "\\u0040"}'
SECRET = b"s3cret"
RIGHT = "sha256=" + hmac.new(SECRET, RAW, hashlib.sha256).hexdigest()


def test_a_valid_signature_is_accepted() -> None:
    assert is_signed(RAW, RIGHT, [SECRET])


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        RIGHT[:-1],
        RIGHT + "0",
        RIGHT.removeprefix("sha256="),
        "sha1=" + RIGHT.removeprefix("sha256="),
        "é" * len(RIGHT),
        "sha256=" + "\udcff" * 64,
        RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1"),
    ],
)
def test_any_other_signature_is_rejected(header: str | None) -> None:
    assert not is_signed(RAW, header, [SECRET])


def test_the_signature_covers_the_bytes_under_the_secret() -> None:
    assert not is_signed(RAW + b" ", RIGHT, [SECRET])
    assert not is_signed(RAW, RIGHT, [b"other"])


@pytest.mark.parametrize("secrets", [[SECRET, b"next"], [b"next", SECRET], [b"older", SECRET, b"next"]])
def test_during_a_rotation_each_secret_is_valid(secrets: list[bytes]) -> None:
    assert is_signed(RAW, RIGHT, secrets)
    assert not is_signed(RAW + b" ", RIGHT, secrets)


def test_other_joined_or_missing_secrets_are_rejected() -> None:
    assert not is_signed(RAW, RIGHT, [b"older", b"next"])
    assert not is_signed(RAW, RIGHT, [SECRET + b",next"])
    assert not is_signed(RAW, RIGHT, [])

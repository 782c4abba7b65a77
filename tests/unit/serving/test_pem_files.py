"""PEM files that TLS cannot use are refused before anything listens."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from serving.own_certificate import ensure
from serving.pem_files import check_authority, check_pair, check_readable


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key."""
    ensure(tmp_path / "key", tmp_path / "certificate", ["localhost"])
    return tmp_path / "certificate", tmp_path / "key"


def test_a_pair_and_its_authority_pass(pair: tuple[Path, Path]) -> None:
    check_pair(*pair)
    check_authority(pair[0])


def test_a_key_with_a_passphrase_is_refused_without_a_prompt(pair: tuple[Path, Path]) -> None:
    key = serialization.load_pem_private_key(pair[1].read_bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    pair[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"word"))
    )
    with pytest.raises(ValueError, match="without a passphrase"):
        check_pair(*pair)


def test_a_key_is_refused_as_authority(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="holds no certificate"):
        check_authority(pair[1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_the_error_of_an_unreadable_file_names_the_user(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0)
    with pytest.raises(ValueError, match=f"let user {os.geteuid()} read it"):
        check_readable(pair[1])


def test_a_folder_is_refused_as_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names a file that does not exist"):
        check_authority(tmp_path)

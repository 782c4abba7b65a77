"""Checks PEM files when the settings are read, because gRPC's own errors are misleading.

gRPC reports a certificate that does not fit its key as a port that it cannot listen on. With an invalid authority, it
waits for ever. Each check raises a ValueError whose text follows the setting's name: the reason, and what to do.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_NO_PASSPHRASE: Final = ""
"""Without it, OpenSSL asks for a passphrase on the terminal."""


def check_readable(file: Path) -> None:
    if not file.is_file():
        raise ValueError("names a file that does not exist")
    try:
        file.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}): let user {os.geteuid()} read it") from None


def check_pair(certificate: Path, key: Path) -> None:
    """The text of the error follows the name of the key's setting."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _NO_PASSPHRASE)
    except ssl.SSLError as error:
        raise ValueError(
            f"does not fit the certificate, or one of them is not in PEM ({_reason(error)}): name the files of one "
            "pair, the key without a passphrase"
        ) from None


def check_authority(file: Path) -> None:
    check_readable(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise ValueError(
            f"holds no certificate in PEM ({_reason(error)}): name the kernel service's, or that of its authority"
        ) from None


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's name of the error."""
    return error.reason or type(error).__name__

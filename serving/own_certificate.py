"""`python -m serving.own_certificate KEY CERTIFICATE NAME…`: makes both files (PEM) for the names, if one is missing.

The certificate is self-signed: clients of the service take it as the authority (KERNEL_TLS_CA). So there is no
separate authority key to protect. To make a new pair, delete both files and restart both services. Services
that share the files may start at once: one of them makes the pair.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import sys
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.private_files import close_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VALID: Final = dt.timedelta(days=3650)
_CLOCKS_DIFFER: Final = dt.timedelta(days=1)
_FEWEST_ARGUMENTS: Final = 3


def main(arguments: Sequence[str]) -> int:
    if len(arguments) < _FEWEST_ARGUMENTS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    key, certificate, *names = arguments
    try:
        ensure(Path(key), Path(certificate), names)
    except OSError as error:
        sys.stderr.write(
            f"{key} and {certificate} do not both exist, and cannot be created ({error.strerror}): "
            "name two files that exist, or folders that are writable\n"
        )
        return 2
    return 0


def ensure(key_file: Path, certificate_file: Path, names: Sequence[str]) -> None:
    """Create both files if one is missing. The certificate is written last: if it exists, so does its key."""
    close_file(key_file)
    if not _both_exist(key_file, certificate_file):
        with _locked(key_file.parent):
            if not _both_exist(key_file, certificate_file):
                _make(key_file, certificate_file, names)


def _both_exist(key_file: Path, certificate_file: Path) -> bool:
    return key_file.exists() and certificate_file.exists()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Until the block is left, other processes wait here. The lock ends with its process."""
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _make(key_file: Path, certificate_file: Path, names: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8, bare = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    certificate_file.unlink(missing_ok=True)
    _write(key_file, key.private_bytes(pem, pkcs8, bare), mode=0o600)
    _write(certificate_file, _certificate(key, names).public_bytes(pem), mode=0o644)


def _certificate(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write atomically: a killed process or a power cut never leaves half of the file."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Finds by a handshake why TLS fails between a client and the kernel service.

gRPC hides the cause while a call waits for the service. Its texts of failed connections differ by release, and none of
them tells that plain text met TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from serving.grpc_target import host_and_port

if TYPE_CHECKING:
    from pathlib import Path

SECONDS: Final = 2.0
_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""Error codes of OpenSSL: X509_verify_cert_error_string(3)."""


@dataclass(frozen=True, slots=True)
class TlsProblem:
    """`text` says what is wrong, and `fix` what an operator does. `reason` is the code for programs."""

    reason: str
    text: str
    fix: str


REQUIRED: Final = TlsProblem(
    "TLS_REQUIRED",
    "the kernel service speaks TLS, and KERNEL_TLS_CA is not set",
    "Set KERNEL_TLS_CA to the kernel service's certificate, or to that of its authority.",
)
NOT_SPOKEN: Final = TlsProblem(
    "TLS_NOT_SPOKEN",
    "KERNEL_TLS_CA is set, but the kernel service does not speak TLS",
    "Set KERNEL_TLS_CERT and KERNEL_TLS_KEY of the kernel service, or leave KERNEL_TLS_CA empty.",
)
UNKNOWN_AUTHORITY: Final = TlsProblem(
    "TLS_AUTHORITY_UNKNOWN",
    "the kernel service's certificate is not of the authority in KERNEL_TLS_CA",
    REQUIRED.fix,
)
EXPIRED: Final = TlsProblem(
    "TLS_CERTIFICATE_EXPIRED",
    "the kernel service's certificate has expired",
    "Renew KERNEL_TLS_CERT of the kernel service and restart it.",
)
NOT_YET_VALID: Final = TlsProblem(
    "TLS_CERTIFICATE_NOT_YET_VALID",
    "the kernel service's certificate is not valid yet",
    "Set the clocks of both machines right.",
)
OTHER_NAME: Final = TlsProblem(
    "TLS_NAME_WRONG",
    "the kernel service's certificate does not name the host of KERNEL_ADDRESS",
    "Write a name of the certificate in KERNEL_ADDRESS, or make a certificate for the host.",
)
PROBLEMS: Final = (REQUIRED, NOT_SPOKEN, UNKNOWN_AUTHORITY, EXPIRED, NOT_YET_VALID, OTHER_NAME)
_OF_THE_CERTIFICATE: Final = {
    _EXPIRED: EXPIRED,
    _NOT_YET_VALID: NOT_YET_VALID,
    _OTHER_NAME: OTHER_NAME,
    _OTHER_ADDRESS: OTHER_NAME,
}


async def tls_problem(target: str, authority: Path | None, name: str = "") -> TlsProblem | None:
    """`authority` is a file in PEM, None: plain text. None is returned if something else keeps calls from the target.

    `name` is the one that the certificate must have; empty: that of the target. Takes SECONDS at most.
    """
    host, port = host_and_port(target)
    if not (host and port):
        return None
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=_context(authority), server_hostname=name or host)
    except ssl.SSLCertVerificationError as refused:
        return _OF_THE_CERTIFICATE.get(refused.verify_code, UNKNOWN_AUTHORITY)
    except ssl.SSLError as failed:
        return NOT_SPOKEN if authority is not None and failed.reason == "WRONG_VERSION_NUMBER" else None
    except (OSError, TimeoutError, UnicodeError):  # the last one is of a host that no name can be
        return None
    writer.close()
    return REQUIRED if authority is None else None


def _context(authority: Path | None) -> ssl.SSLContext:
    """Without an authority any certificate is accepted."""
    context = ssl.create_default_context(cafile=authority)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as gRPC
    context.set_alpn_protocols(["h2"])
    if authority is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context

"""The root certificates are loaded once, and again only for another file or folder."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from kernel_service.vendor_tls import vendor_tls

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_all_clients_share_a_context_that_checks_certificates() -> None:
    tls = vendor_tls()
    assert tls is vendor_tls()
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_named_roots_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = vendor_tls()
    with monkeypatch.context() as other:
        other.delenv("SSL_CERT_FILE", raising=False)
        other.setenv("SSL_CERT_DIR", str(tmp_path))
        assert not vendor_tls().get_ca_certs()
    assert vendor_tls() is before

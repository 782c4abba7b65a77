"""Addresses, and what protects them."""

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kernel_service import insecure
from kernel_service.api.advertised import advertised, check_advertised
from kernel_service.api.peers import PeerTls
from kernel_service.settings.concern import Concern
from serving.listening import Address
from serving.pem_files import check_authority, check_pair, check_readable


class Listening(Concern):
    """Addresses and TLS.

    Most concerns derive from this one: their checks need to know whether other machines reach the service.
    """

    # First, since the checks of all other settings depend on it.
    kernel_allow_insecure: bool = False
    """Permits settings that are refused where other machines reach a service: gRPC without TLS, weak secrets, connect
    pages over http. It is for the gateway as well. See docs/explanation/security.md#settings-that-are-refused."""
    kernel_listen: str = "127.0.0.1:50051"
    """The address of the gRPC services."""
    kernel_advertise: str = ""
    """The `host:port` at which gateways and the other kernel services reach this one, as `kernel-1.example.com:50051`.
    Unset: the host of `KERNEL_LISTEN`; if that is every interface, the address of this machine's hostname."""
    kernel_metrics_listen: str = "127.0.0.1:9464"
    """The address of `/metrics` and `/healthz`."""
    connect_listen: str = "127.0.0.1:8081"
    """The address of the connect pages, `/connect/…`. Put an https proxy in front of it."""
    kernel_tls_cert: Path | None = Field(None, validate_default=True)
    """The certificate chain of the gRPC services, in PEM. Required where `KERNEL_LISTEN` is not a loopback address."""
    kernel_tls_key: Path | None = None
    """The private key of `KERNEL_TLS_CERT`, in PEM. Set both or neither."""
    kernel_tls_ca: Path | None = None
    """The authority by which the kernel services trust each other, in PEM. The certificate of each is valid for the
    first DNS name in the others'. Unset: `KERNEL_TLS_CERT`."""

    @field_validator("kernel_listen", "kernel_metrics_listen", "connect_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        Address.parse(value)
        return value

    @field_validator("kernel_advertise")
    @classmethod
    def _is_reachable(cls, value: str) -> str:
        return str(check_advertised(value)) if value else ""

    @field_validator("kernel_tls_cert", "kernel_tls_key")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_readable(value)
        return value

    @field_validator("kernel_tls_key")
    @classmethod
    def _fits(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and (certificate := info.data.get("kernel_tls_cert")):
            check_pair(certificate, value)
        return value

    @field_validator("kernel_tls_ca")
    @classmethod
    def _is_authority(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_authority(value)
        return value

    @field_validator("kernel_tls_cert")
    @classmethod
    def _is_private(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        insecure.check_tls(value, info)
        return value

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if bool(self.kernel_tls_cert) != bool(self.kernel_tls_key):
            raise ValueError("KERNEL_TLS_CERT and KERNEL_TLS_KEY go together: set both, or neither")
        return self

    def tls(self) -> tuple[bytes, bytes] | None:
        """Private key and certificate chain, PEM."""
        if self.kernel_tls_key is None or self.kernel_tls_cert is None:
            return None
        return self.kernel_tls_key.read_bytes(), self.kernel_tls_cert.read_bytes()

    def peer_tls(self) -> PeerTls | None:
        """None: the nodes speak without TLS."""
        if self.kernel_tls_cert is None:
            return None
        authority = self.kernel_tls_ca.read_bytes() if self.kernel_tls_ca else None
        return PeerTls.of(self.kernel_tls_cert.read_bytes(), authority)

    def advertised(self, port: int) -> Address:
        """Where gateways and other nodes reach this one. `port` is the one that is bound."""
        return advertised(self.kernel_advertise, Address.parse(self.kernel_listen), port)

"""Real servers: a PgBouncer in front of a PostgreSQL, and a PostgreSQL with TLS.

Both come from the system (`.ci/run` installs them), because the PostgreSQL of the wheel is built without TLS.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 20


def as_user(user: str | int) -> list[str]:
    """A prefix for commands, because neither server runs as root. (With `user` Python forks, which gRPC forbids.)"""
    return ["setpriv", f"--reuid={user}", "--clear-groups", "--"] if os.geteuid() == 0 else []


@contextmanager
def folder_of(user: str | int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="server-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        yield Path(folder)


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not socket.exists():
        assert process.poll() is None, f"the server ended with {process.returncode}: {log.read_text()[-1000:]}"
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.02)


# --- PgBouncer --------------------------------------------------------------------------------------------------------


class Bouncer:
    """`url` connects through it, by TCP."""

    def __init__(self, folder: Path, database_url: str, settings: dict[str, str]) -> None:
        parts = urlsplit(database_url)
        self._port, self._folder = free_port(), folder
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}{parts.path}"
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self._port),
            "unix_socket_dir": str(folder),
            "auth_type": "any",
            "default_pool_size": "20",
            "logfile": str(folder / "log"),
            "server_login_retry": "0.2",
            **settings,
        }
        server = f"* = host={_host(database_url)} port=5432 user=postgres"
        text = "\n".join(
            ["[databases]", server, "[pgbouncer]", *(f"{name} = {value}" for name, value in lines.items())]
        )
        (folder / "ini").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        socket = self._folder / f".s.PGSQL.{self._port}"
        socket.unlink(missing_ok=True)
        command = [*as_user(self._folder.stat().st_uid), str(_pgbouncer()), "-q", str(self._folder / "ini")]
        with (self._folder / "errors").open("wb") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _wait_for(socket, self._process, self._folder / "errors")

    def stop(self) -> None:
        """Stop at once, and cut its clients' connections."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def _host(database_url: str) -> str:
    return parse_qs(urlsplit(database_url).query)["host"][0]


def _pgbouncer() -> Path:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if not found:
        pytest.skip("no PgBouncer here: Debian's package is pgbouncer")
    return Path(found)


@contextmanager
def bouncer(database_url: str, mode: str, **settings: str) -> Iterator[Bouncer]:
    """A running PgBouncer in front of the server of this URL, which has a socket in a folder."""
    _pgbouncer()
    # Run it as the owner of the server's folder, who has access to the socket.
    with folder_of(Path(_host(database_url)).stat().st_uid) as folder:
        running = Bouncer(folder, database_url, {"pool_mode": mode, **settings})
        running.start()
        try:
            yield running
        finally:
            running.stop()


# --- TLS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TlsServer:
    """Its certificate is for `localhost`. It accepts only TLS, with the password `PASSWORD` (as user `ann`)."""

    port: int
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def another_ca(self) -> Path:
        return self.folder / "another_ca.pem"

    def url(self, parameters: str = "", *, host: str = "localhost", user: str = "ann:{}") -> str:
        return f"postgresql://{user.format(PASSWORD)}@{host}:{self.port}/postgres?{parameters}"


PASSWORD = "p%40ss%3A%2F%23%3F"
"""The password as it is written in a URL."""


@contextmanager
def tls_server() -> Iterator[TlsServer]:
    binaries = system_binaries()
    with folder_of("postgres") as folder:
        yield from _running(binaries, TlsServer(free_port(), folder))


def system_binaries() -> Path:
    """The folder of the system's newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.skip("no PostgreSQL of the system here: Debian's package is postgresql")
    return found[-1]


def _running(binaries: Path, server: TlsServer) -> Iterator[TlsServer]:
    folder, data = server.folder, server.folder / "data"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [*as_user("postgres"), binaries / "initdb", "-A", "trust", "-N", "-U", "postgres", data], check=True, **quiet
    )
    _write_certificates(folder)
    (data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
    )
    options = {
        "port": server.port,
        "listen_addresses": "localhost",
        "unix_socket_directories": folder,
        "fsync": "off",
        "ssl": "on",
        "ssl_cert_file": folder / "server.pem",
        "ssl_key_file": folder / "server.key",
        "ssl_ca_file": folder / "ca.pem",
    }
    command: list[str | Path] = [
        *as_user("postgres"),
        binaries / "postgres",
        "-D",
        data,
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(command, **quiet | {"stderr": log})
    try:
        _wait_for(folder / f".s.PGSQL.{server.port}", process, folder / "log")
        sql = "CREATE ROLE ann LOGIN PASSWORD 'p@ss:/#?'; GRANT CREATE ON SCHEMA public TO ann"
        psql: list[str | Path] = [
            *as_user("postgres"),
            binaries / "psql",
            "-h",
            folder,
            "-p",
            str(server.port),
            "-U",
            "postgres",
            "-c",
            sql,
        ]
        end = time.monotonic() + START_SECONDS
        while subprocess.run(psql, check=False, **quiet).returncode:  # it is still starting
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(START_SECONDS)


def _write_certificates(folder: Path) -> None:
    ca_key, another_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ca = _certificate("CA", ca_key, issuer="CA", issuer_key=ca_key, is_ca=True)
    another = _certificate("CA", another_key, issuer="CA", issuer_key=another_key, is_ca=True)
    server = _certificate("localhost", server_key, issuer="CA", issuer_key=ca_key, is_ca=False)
    for name, certificate in (("ca", ca), ("another_ca", another), ("server", server)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key = server_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.key").write_bytes(key)
    (folder / "server.key").chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(folder / "server.key", "postgres")


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    is_ca: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_ca:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())

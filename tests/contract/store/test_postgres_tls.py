"""TLS to PostgreSQL: both kinds of connections follow the URL, and never fall back to plain text."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.postgres import DatabaseUnfitError
from tests.contract.store.conftest import keys
from tests.contract.store.owner import say
from tests.postgres_servers import PASSWORD, tls_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store
    from tests.postgres_servers import TlsServer

SECRETS = (PASSWORD, "p@ss:/#?")
TLS_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    with tls_server() as running:
        yield running


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await open_store(url, keys("test"))
    try:
        yield store
    finally:
        await store.close()


async def connections(store: Store) -> dict[str, bool]:
    """Each connection's name, and whether it is encrypted."""

    def ask(tx: Tx) -> list[Row[tuple[str, bool]]]:
        sql = "SELECT application_name, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'ann'"
        return list(tx.connection.exec_driver_sql(sql))

    return dict(map(tuple, await store.engine.read(ask)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "host"),
    [
        ("", "localhost"),
        ("sslmode=allow", "localhost"),
        ("sslmode=prefer", "localhost"),
        ("sslmode=require", "127.0.0.1"),
        ("ssl=true", "localhost"),
        ("sslmode=require&sslrootcert={ca}", "127.0.0.1"),
        ("sslmode=verify-ca&sslrootcert={ca}", "127.0.0.1"),
        ("sslmode=verify-full&sslrootcert={ca}", "localhost"),
        ("sslmode=verify-full&sslrootcert={ca}&ssl_min_protocol_version=TLSv1.3", "localhost"),
    ],
)
async def test_both_kinds_of_connections_are_encrypted(server: TlsServer, parameters: str, host: str) -> None:
    async with opened(server.url(parameters.format(ca=server.ca), host=host)) as store:
        await say(store, "m1", "test:ann")
        assert await connections(store) == {"kernel_service": True, "kernel_service notices": True}


@pytest.mark.parametrize(
    ("parameters", "host", "says"),
    [
        ("sslmode=disable", "localhost", "no encryption"),
        ("sslmode=verify-full&sslrootcert={ca}", "127.0.0.1", "not trusted: IP address mismatch"),
        ("sslmode=verify-full&sslrootcert={another_ca}", "localhost", "not trusted: self-signed certificate"),
        ("sslmode=verify-ca&sslrootcert={another_ca}", "localhost", "not trusted: self-signed certificate"),
        ("sslmode=require&sslrootcert={another_ca}", "localhost", "not trusted: self-signed certificate"),
        ("sslmode=verify-full&sslrootcert=system", "localhost", "not trusted: self-signed certificate"),
        ("sslmode=require&dbname=nowhere", "localhost", 'database "nowhere" does not exist'),
    ],
)
async def test_a_failed_verification_is_reported(
    server: TlsServer, parameters: str, host: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.url(parameters.format(ca=server.ca, another_ca=server.another_ca), host=host)
    with pytest.raises(
        DatabaseUnfitError, match=f"KERNEL_DATABASE_URL: cannot connect to the database: .*{says}"
    ) as no:
        await open_store(url, keys("test"))
    assert not [secret for secret in SECRETS if secret in caplog.text + str(no.value)]


async def test_a_wrong_password_is_reported_without_the_password(server: TlsServer) -> None:
    with pytest.raises(DatabaseUnfitError, match='password authentication failed for user "ann"') as refused:
        await open_store(server.url("sslmode=require", user="ann:SECRET"), keys("test"))
    assert "SECRET" not in str(refused.value)


async def test_connections_have_application_names(server: TlsServer) -> None:
    async with opened(server.url("sslmode=require&application_name=shop&connect_timeout=10")) as store:
        assert set(await connections(store)) == {"shop", "shop notices"}


@pytest.mark.parametrize("mode", ["require", "verify-ca&sslrootcert={ca}", "verify-full&sslrootcert={ca}"])
async def test_no_data_is_sent_to_a_server_without_tls(server: TlsServer, mode: str) -> None:
    """Nor to a man in the middle who claims that the server has none."""
    heard: list[bytes] = []
    gone = asyncio.Event()

    async def refuse(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        heard.append(await client.readexactly(len(TLS_REQUEST)))
        to_client.write(b"N")
        heard.append(await client.read())
        to_client.close()
        gone.set()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode={mode.format(ca=server.ca)}"
        with pytest.raises(DatabaseUnfitError, match="rejected SSL upgrade"):
            await open_store(url, keys("test"))
        await gone.wait()
    assert heard == [TLS_REQUEST, b""]

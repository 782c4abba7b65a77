"""The page's role, database and settings on a real PostgreSQL, behind a PgBouncer in the page's mode."""

from collections.abc import AsyncIterator, Callable
from configparser import ConfigParser
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kernel_service.storage.engine import postgres_url
from tests.documents.operator import settings
from tests.documents.page import Page
from tests.integration.world import whole_world
from tests.postgres_servers import bouncer
from tests.pristine_postgres import command


async def test_the_page(postgres: Callable[[str], str], tmp_path: Path) -> None:
    server = postgres("postgres")
    with Page("docs/how-to/postgresql.md") as page:
        async with made(server, page.take("sql")):
            direct = settings(page.take("ini"))
            own = direct["kernel_database_url"]
            postgres_url.parse(own)
            pooler = ConfigParser()
            pooler.read_string(page.take("ini"))
            behind = settings(page.take("ini"))
            assert behind["kernel_database_direct_url"] == own.partition("?")[0]
            with bouncer(server, pooler["pgbouncer"]["pool_mode"]) as running:
                port = urlsplit(running.url).port
                pooled = behind["kernel_database_url"].replace("pooler.example.com:6432", f"127.0.0.1:{port}")
                here = direct | {"kernel_database_url": pooled, "kernel_database_direct_url": at(server, own)}
                async with whole_world(tmp_path, **here) as world:
                    assert "good news" in (await world.ask(world.phone("Alice"), "good news")).text
        await command(server, page.take("sql"))
        await command(server, "ALTER SYSTEM RESET synchronous_standby_names")  # before the server reads it


@asynccontextmanager
async def made(server: str, statements: str) -> AsyncIterator[None]:
    for statement in filter(str.strip, statements.split(";")):
        await command(server, statement)
    try:
        yield
    finally:
        await command(server, "DROP DATABASE kernel WITH (FORCE)")
        await command(server, "DROP ROLE kernel")


def at(server: str, url: str) -> str:
    """The URL of the page, for this server: it listens on a socket."""
    [folder] = parse_qs(urlsplit(server).query)["host"]
    return urlsplit(url)._replace(netloc="kernel:a-password-of-yours@", query=f"host={folder}").geturl()

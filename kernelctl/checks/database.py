"""The database: whether it is reached, whether its schema fits, and whether the keys open what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelctl.checks.results import Result, Skipped, error, note, ok

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.opening.inspecting import DatabaseInspection
    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

_NO_START: Final = "The kernel service does not start."
_SQLITE: Final = "sqlite:///"
_PLACEHOLDER: Final = "none:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


async def database(setup: Setup, _: Http) -> Sequence[Result]:
    _check_has_database(setup)
    found = await _inspected(setup)
    if found.problem:
        return [_unusable(found)]
    return [_empty(setup, found) if found.schema == 0 else _of_schema(found)]


def _empty(setup: Setup, found: DatabaseInspection) -> Result:
    if found.file is not None and not found.file.exists():
        containers = "With `make up` it is in a container: `docker compose exec kernel_service kernelctl doctor`."
        fix = containers if setup.values.get("POSTGRES_PASSWORD") else ""
        return note("the database does not exist yet: the kernel service creates it at its first start", fix=fix)
    return note("the database is empty: the kernel service creates its tables at its first start")


def _of_schema(found: DatabaseInspection) -> Result:
    if found.oldest_reader > found.program_schema:
        text = f"the database has schema {found.schema}, which this version (schema {found.program_schema}) cannot use"
        return error(text, why=_NO_START, fix="Install the newer version again, or restore a backup of the older one.")
    if found.schema > found.program_schema:
        return note(f"a newer version has migrated the database (schema {found.schema}); this one can still use it")
    if found.schema < found.program_schema:
        text = f"the database has schema {found.schema}: the next start migrates it to {found.program_schema}"
        return note(text, fix="Make a backup first.")
    return ok("the database is reached, and its schema is current")


def _check_has_database(setup: Setup) -> None:
    """Raises Skipped in a gateway's container, which has no database."""
    if not setup.has_kernel:
        raise Skipped("this process has no settings of the kernel service")


def _unusable(found: DatabaseInspection) -> Result:
    fix = (
        "Let this user read and write the file and its folder, or correct KERNEL_DATABASE_URL."
        if found.file
        else "Start PostgreSQL, or correct host, port, user and password in KERNEL_DATABASE_URL. A missing right is "
        "granted with GRANT USAGE, CREATE ON SCHEMA … TO …."
    )
    return error(f"the database of KERNEL_DATABASE_URL cannot be used: {found.problem}", why=_NO_START, fix=fix)


async def encryption_keys(setup: Setup, _: Http) -> Sequence[Result]:
    _check_has_database(setup)
    if not setup.values.get("KERNEL_ENCRYPTION_KEYS"):
        raise Skipped("KERNEL_ENCRYPTION_KEYS is missing")
    found = await _inspected(setup)
    if found.problem:
        raise Skipped("see the finding of the database")
    if found.key_problem:
        return [
            error(
                "KERNEL_ENCRYPTION_KEYS does not open what the database holds",
                why=f"{_NO_START} {found.key_problem[0].upper()}{found.key_problem[1:]}.",
                fix="Put the former key back, behind the current one. Without it the data cannot be read by any means.",
            )
        ]
    if found.schema != found.program_schema:
        raise Skipped("the database is empty, or has the schema of another version")
    return [ok("KERNEL_ENCRYPTION_KEYS opens what the database holds")]


async def _inspected(setup: Setup) -> DatabaseInspection:
    # Imported late: it takes a second, and other checks run meanwhile.
    from kernel_service.storage.opening.inspecting import inspect_database  # noqa: PLC0415

    url = setup.get("KERNEL_DATABASE_DIRECT_URL") or setup.get("KERNEL_DATABASE_URL")
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_absolute():
        url = f"{_SQLITE}{setup.folder.resolve() / url.removeprefix(_SQLITE)}"
    try:
        return await inspect_database(url, setup.values.get("KERNEL_ENCRYPTION_KEYS") or _PLACEHOLDER)
    except ValueError:
        raise Skipped("see the findings of the settings") from None

"""Open the store of a database URL: migrate it, read its keys, start its writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.media.read_as import MIB
from kernel_service.ports.media import PERSON_BYTES, MediaQuota
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.weak_ids import WeakIdExpiry
from kernel_service.schedules.limits import ScheduleLimits
from kernel_service.storage.engine import batch
from kernel_service.storage.engine.database_url import check, is_sqlite
from kernel_service.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.sealing.ciphers import MasterKeys

_WEAK_IDS = WeakIdExpiry()
_FOR_GOOD = RetentionPolicy()
_SCHEDULES = ScheduleLimits()


async def open_store(
    url: str,
    master_keys: MasterKeys,
    *,
    direct_url: str = "",
    pool: int = 10,
    media_bytes: int = 1024 * MIB,
    media_bytes_per_person: int = PERSON_BYTES,
    weak_ids: WeakIdExpiry = _WEAK_IDS,
    retention: RetentionPolicy = _FOR_GOOD,
    schedules: ScheduleLimits = _SCHEDULES,
    end_process: Callable[[str], None] = batch.end_process,
) -> Store:
    """`url` is `sqlite:///path`, of which this becomes the only process, or `postgresql://…`.

    At most `media_bytes` of people's files are kept at a time, and `media_bytes_per_person` of each person. After
    `weak_ids` a weak id matches no person. `pool` is the number of connections to PostgreSQL. `direct_url` names the
    same database if `url` names a pooler in transaction mode.

    Raises `DatabaseInUseError`, `DatabaseUnfitError`, `SchemaTooNewError`, `SealingKeyUnknown`, and `ValueError` for
    another URL.
    """
    check(url)
    quota = MediaQuota(media_bytes, media_bytes_per_person)
    # Each loads a separate driver, and PostgreSQL's costs 10 MB that a service on SQLite does not need.
    if is_sqlite(url):
        from kernel_service.storage.opening.sqlite import open_sqlite  # noqa: PLC0415

        return Store.on(await open_sqlite(url, master_keys, end_process), quota, weak_ids, retention, schedules)
    from kernel_service.storage.opening.postgres import open_postgres  # noqa: PLC0415

    engine = await open_postgres(url, master_keys, end_process, direct_url=direct_url, pool=pool)
    return Store.on(engine, quota, weak_ids, retention, schedules)

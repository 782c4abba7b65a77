"""The streams of channels' instances, at any node. A release of an instance's leases ends all that opened before it.

A lease holds the row of its instance until it is committed. So a release at another node comes before it, and then it
finds another generation, or after it, and then the release finds the lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import BigInteger, bindparam, exists, select, text, update

from kernel_service.storage.schema.service import puller

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Puller
    from kernel_service.storage.engine.engine import Tx

_OPEN = text(
    "INSERT INTO puller (channel, instance, generation, changed_at) VALUES (:channel, :instance, 0, :now)"
    " ON CONFLICT (channel, instance) DO UPDATE SET changed_at = excluded.changed_at RETURNING generation"
)
_RELEASE = (
    update(puller)
    .where(puller.c.channel == bindparam("of"), puller.c.instance == bindparam("by"))
    .values(generation=puller.c.generation + 1)
)
_CURRENT = (
    select(puller.c.generation)
    .where(
        puller.c.channel == bindparam("puller_channel"),
        puller.c.instance == bindparam("puller_instance"),
        puller.c.generation == bindparam("puller_generation", type_=BigInteger),
    )
    .with_for_update(read=True)
)
MAY_LEASE = exists(_CURRENT)
"""In a statement with the values of `named`: whether the stream may lease."""


def open_puller(tx: Tx, channel: str, instance: str, now: float) -> int:
    opened = {"channel": channel, "instance": instance, "now": now}
    return cast("int", tx.execute(_OPEN, opened).scalar_one())


def release(tx: Tx, channel: str, instance: str) -> None:
    """Stop the open streams of the instance from leasing. An instance without a row never opened one."""
    tx.execute(_RELEASE, {"of": channel, "by": instance})


def named(given: Puller) -> dict[str, Any]:
    return {
        "puller_channel": given.channel,
        "puller_instance": given.instance,
        "puller_generation": given.generation,
    }


def may_lease(tx: Tx, given: Puller) -> bool:
    return tx.execute(_CURRENT, named(given)).first() is not None

"""The parts of a schedule that its caller leaves to the person's chat."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from kernel_service.errors import CallerError
from kernel_service.storage.people import time_zones
from kernel_service.storage.schema.inbox import message

if TYPE_CHECKING:
    from kernel_service.ports.schedules import NewSchedule
    from kernel_service.storage.engine.engine import Tx

_LAST_ADDRESS = (
    select(message.c.address)
    .where(message.c.person_id == bindparam("person"), message.c.channel == bindparam("in_channel"))
    .order_by(message.c.seq.desc())
    .limit(1)
)
_ONCE = "UTC"


def completed(tx: Tx, person_id: str, new: NewSchedule) -> NewSchedule:
    """With the person's time zone, and the address that they wrote to last in the channel.

    A schedule that runs once needs no zone: it is shown in UTC. Raises `CallerError` FIELD_REQUIRED.
    """
    zone = new.time_zone or time_zones.of(tx, person_id) or ("" if new.cron else _ONCE)
    return replace(new, time_zone=zone, address=new.address or _last_address(tx, person_id, new.channel))


def repeats(known: NewSchedule, new: NewSchedule) -> bool:
    """Whether `new` asks for the known schedule. The parts that it leaves open may have had other defaults then."""
    return known == replace(new, time_zone=new.time_zone or known.time_zone, address=new.address or known.address)


def _last_address(tx: Tx, person_id: str, channel: str) -> str:
    address = tx.execute(_LAST_ADDRESS, {"person": person_id, "in_channel": channel}).scalar_one_or_none()
    if address is None:
        sentence = "the person has not written in this channel for long; name the `address` of their chat"
        raise CallerError("FIELD_REQUIRED", sentence, field="address")
    return str(address)

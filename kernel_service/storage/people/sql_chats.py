"""The URL with which a browser opens the chat of an address, from its channel's latest report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.people.people import staying
from kernel_service.storage.schema.people import chat

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_of = (chat.c.channel == bindparam("of_channel"), chat.c.address == bindparam("of_address"))
_LINK = select(chat.c.link).where(*_of)
_CHANGE = update(chat).where(*_of).values(link=bindparam("to"))
_ADD = insert(chat)


class SqlChats(SqlPort):
    """Fills `ChatStore`."""

    @reads
    def link(self, tx: Tx, channel: str, address: str) -> str:
        return tx.execute(_LINK, {"of_channel": channel, "of_address": address}).scalar_one_or_none() or ""

    @writes(in_order_of="address")
    def keep_link(self, tx: Tx, person_id: str, channel: str, address: str, link: str) -> None:
        if staying(tx, person_id) is None:
            return
        if not tx.execute(_CHANGE, {"of_channel": channel, "of_address": address, "to": link}).rowcount:
            tx.execute(_ADD, {"channel": channel, "address": address, "link": link})

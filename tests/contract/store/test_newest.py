"""The newest time that the store knows. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.store.outbox import NOW, Chat

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


async def test_the_newest_time_is_the_last_messages_or_replys(store: Store) -> None:
    assert await store.newest_time() == 0
    anna = await Chat(store, "test:anna").write()
    await Chat(store, "test:bruno").write(now=NOW + 5)
    assert await store.newest_time() == NOW + 5
    await anna.tell("later", now=NOW + 7)
    assert await store.newest_time() == NOW + 7

"""Files to fetch are looked for at intervals, for each set of addresses that streams serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.media.transfers import POLL_SECONDS, MediaTransfers
from kernel_service.ports.outbox import Puller

if TYPE_CHECKING:
    from collections.abc import Sequence

PULLER = Puller("chat", "i_1", "n_1", 0)


class Store:
    """Fills a part of `MediaStore`: the files that wait, by address."""

    def __init__(self) -> None:
        self.waiting: dict[str, Any] = {}
        self.looks = 0

    async def lease(self, puller: Puller, addresses: Sequence[str], **_: Any) -> list[Any]:
        self.looks += 1
        return [self.waiting.pop(each) for each in addresses if each in self.waiting]


class Scene:
    def __init__(self) -> None:
        self.store = Store()
        self.now = 1000.0
        nothing: Any = None
        self.transfers = MediaTransfers(self.store, nothing, nothing, lambda: self.now, nothing)  # type: ignore[arg-type]

    async def lease(self, *addresses: str) -> list[Any]:
        return await self.transfers.lease(PULLER, addresses, 9)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_stream_that_finds_nothing_hides_no_file_from_another(scene: Scene) -> None:
    scene.store.waiting["second"] = "file"
    scene.transfers.wanted("chat")
    assert await scene.lease("first") == []
    assert await scene.lease("second") == ["file"]


async def test_streams_of_the_same_addresses_share_a_look(scene: Scene) -> None:
    for _ in range(3):
        assert await scene.lease("first", "second") == await scene.lease("second", "first") == []
    assert scene.store.looks == 1
    scene.now += POLL_SECONDS
    await scene.lease("first", "second")
    assert scene.store.looks == 2


async def test_looks_of_earlier_addresses_are_forgotten(scene: Scene) -> None:
    for number in range(9):
        await scene.lease(str(number))
        scene.now += POLL_SECONDS
    assert len(scene.transfers._polls_at["chat"]) == 1

"""One call acknowledges parts and files together, and gets each result at the place of its acknowledgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from kernel.v1 import outbox_pb2

from kernel_service.api.interceptors import caller
from kernel_service.api.kernel_servicer import KernelServicer
from kernel_service.ports.outbox import AckResult

if TYPE_CHECKING:
    from collections.abc import Sequence

MALFORMED = outbox_pb2.Acknowledgement(lease_token="lt")
RECORDED, STALE, INVALID = outbox_pb2.ACK_RESULT_RECORDED, outbox_pb2.ACK_RESULT_STALE, outbox_pb2.ACK_RESULT_INVALID


def part(reply_id: str) -> outbox_pb2.Acknowledgement:
    given = outbox_pb2.Acknowledgement(lease_token="lt")
    given.part.part.MergeFrom(outbox_pb2.ReplyPart(reply_id=reply_id, part=1, parts=1))
    given.part.sent.channel_message_id = "wamid"
    return given


def file(media_id: str) -> outbox_pb2.Acknowledgement:
    given = outbox_pb2.Acknowledgement(lease_token="lt")
    given.media.media_id = media_id
    given.media.failed.error_code = "gone"
    return given


class Settling:
    """A store of parts or files. Those whose id begins with `old` are settled too late."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.fetched = Mock()

    async def settle(self, _: str, acks: Sequence[Any]) -> list[AckResult]:
        ids = [getattr(ack, "reply_id", "") or getattr(ack, "media_id", "") for ack in acks]
        self.settled += ids
        return [AckResult.STALE if each.startswith("old") else AckResult.RECORDED for each in ids]


class Service:
    def __init__(self) -> None:
        caller.set("chat")
        self.outbox, self.transfers = Settling(), Settling()
        rest: list[Any] = [Mock()] * 14
        rest[1], rest[3] = self.outbox, self.transfers
        self._servicer = KernelServicer(*rest)

    async def acknowledge(self, *acks: outbox_pb2.Acknowledgement) -> list[int]:
        context: Any = None
        answer = await self._servicer.AckOutbox(outbox_pb2.AckOutboxRequest(acknowledgements=acks), context)
        return list(answer.results)


async def test_each_result_stands_at_the_place_of_its_acknowledgement() -> None:
    service = Service()
    acks = file("md_1"), part("old_1"), MALFORMED, part("rp_1"), file("old_2"), part("")
    assert await service.acknowledge(*acks) == [RECORDED, STALE, INVALID, RECORDED, STALE, INVALID]
    assert service.outbox.settled == ["old_1", "rp_1"]
    assert service.transfers.settled == ["md_1", "old_2"]
    service.outbox.fetched.assert_called_once_with("chat", "md_1", "lt")


@pytest.mark.parametrize("acks", [(MALFORMED, MALFORMED), (part(""), MALFORMED)])
async def test_malformed_acknowledgements_reach_no_store(acks: Sequence[outbox_pb2.Acknowledgement]) -> None:
    service = Service()
    assert await service.acknowledge(*acks) == [INVALID, INVALID]
    assert not service.outbox.settled
    assert not service.transfers.settled

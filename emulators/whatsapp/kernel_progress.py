"""The messages and answers on their way for a person, asked from the kernel service as an operator may ask."""

from typing import Any, Final

import grpc
from kernel.v1 import admin_pb2, admin_pb2_grpc

_SECONDS: Final = 5
_NEWEST: Final = 10
_ON_THEIR_WAY: Final = (
    admin_pb2.REPLY_STATE_PENDING,
    admin_pb2.REPLY_STATE_LEASED,
    admin_pb2.REPLY_STATE_IN_DOUBT,
)


class KernelProgress:
    """`metadata` has the operator's token."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._asking: dict[str, Any] = {"metadata": metadata, "timeout": _SECONDS}

    async def of(self, channel: grpc.aio.Channel, user_id: str) -> dict[str, Any]:
        """{waiting, held, tokens}: `tokens` are those of the latest turn. Raises AioRpcError."""
        admin = admin_pb2_grpc.KernelAdminServiceStub(channel)
        person = admin_pb2.PersonRef(user_id=user_id)
        listed = admin_pb2.ListTurnsRequest(person=person, page_size=1)
        turns = await admin.ListTurns(listed, **self._asking)
        newest = admin_pb2.ListRepliesRequest(person=person, page_size=_NEWEST)
        replies = await admin.ListReplies(newest, **self._asking)
        open_turns = [turn for turn in turns.turns if not turn.HasField("ended_at")]
        unsent = [reply for reply in replies.replies if reply.state in _ON_THEIR_WAY]
        held = [turn.not_before.ToNanoseconds() / 1e9 for turn in open_turns if turn.HasField("not_before")]
        return {
            "waiting": len(turns.pending) + len(open_turns) + len(unsent),
            "held": next(iter(held), None),
            "tokens": sum(turn.usage.input_tokens + turn.usage.output_tokens for turn in turns.turns),
        }

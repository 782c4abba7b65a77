"""A terminal on the bare contract: one stream for messages, replies and acknowledgements.

Any kernel service serves it: if its own one ends, it opens the next stream at another one behind KERNEL_ADDRESS.

Start it with `TERMINAL_TOKEN=… .venv/bin/python docs/examples/channel.py`.
"""

# ruff: noqa: T201 - a terminal prints
from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
from kernel.v1 import channel_pb2, errors_pb2, kernel_pb2_grpc, messages_pb2, outbox_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADDRESS = "127.0.0.1:50051"


class Calls:
    """Calls without a result are repeated over the next stream: the service recognises what it has done."""

    def __init__(self, instance_id: str) -> None:
        self._attach = outbox_pb2.PullOutboxRequest(channel="terminal", instance_id=instance_id)
        self._ids = count(1)
        self._pending: dict[int, channel_pb2.ChannelCall] = {}
        self._unsent: asyncio.Queue[channel_pb2.ChannelCall] = asyncio.Queue()

    def begin(self, **request: Any) -> None:
        call = channel_pb2.ChannelCall(id=next(self._ids), **request)
        self._pending[call.id] = call
        self._unsent.put_nowait(call)

    async def requests(self) -> AsyncIterator[channel_pb2.ServeChannelRequest]:
        """The requests of one stream. A request holds 256 calls at most, and a person types fewer during an outage."""
        self._unsent = asyncio.Queue()
        yield channel_pb2.ServeChannelRequest(attach=self._attach, calls=self._pending.values())
        while True:
            yield channel_pb2.ServeChannelRequest(calls=[await self._unsent.get()])

    def settle(self, result: channel_pb2.ChannelResult) -> None:
        """Forget the call, unless it failed for a reason that may pass: then it is repeated a little later."""
        if result.HasField("error"):
            print(f"[{result.error.message}]", file=sys.stderr)
            if retryable(result.error) and (call := self._pending.get(result.id)):
                delay = result.error.retry_delay.seconds or 1
                asyncio.get_running_loop().call_later(delay, lambda: self._unsent.put_nowait(call))
                return
        self._pending.pop(result.id, None)


def retryable(error: channel_pb2.CallError) -> bool:
    """As the contract's descriptor says of the reason."""
    reason = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{error.reason}")
    return reason is None or bool(reason.GetOptions().Extensions[errors_pb2.retryable])


def printed(delivery: outbox_pb2.ReplyDelivery) -> outbox_pb2.AckOutboxRequest:
    """Print a reply. Returns its acknowledgement; without one the reply comes again."""
    reply = delivery.reply
    print(reply.text, *(f"[{choice.title}]" for choice in reply.choices), sep="\n", flush=True)
    if reply.link.url:
        print(f"[{reply.link.title}] {reply.link.url}", flush=True)
    part = outbox_pb2.PartAcknowledgement(
        part=outbox_pb2.ReplyPart(reply_id=reply.id, part=1, parts=1), sent=outbox_pb2.DeliverySent()
    )
    return outbox_pb2.AckOutboxRequest(
        acknowledgements=[outbox_pb2.Acknowledgement(lease_token=delivery.lease_token, part=part)]
    )


async def serve(kernel: Any, calls: Calls, metadata: Any) -> None:
    """Open one stream after the other."""
    while True:
        try:
            async for response in kernel.ServeChannel(calls.requests(), metadata=metadata):
                for result in response.results:
                    calls.settle(result)
                for item in response.items:
                    calls.begin(ack_outbox=printed(item.reply))
        except grpc.aio.AioRpcError as error:
            print(f"[waiting: {error.details()}]", file=sys.stderr)
        await asyncio.sleep(1)


async def main() -> None:
    metadata = (("authorization", f"Bearer {os.environ['TERMINAL_TOKEN']}"),)
    calls = Calls(instance_id=f"terminal-{uuid4()}")
    async with grpc.aio.insecure_channel(os.environ.get("KERNEL_ADDRESS", ADDRESS)) as channel:
        serving = asyncio.create_task(serve(kernel_pb2_grpc.KernelServiceStub(channel), calls, metadata))
        for number in count(1):
            if not (line := await asyncio.to_thread(sys.stdin.readline)):
                break
            message = messages_pb2.HandleMessageRequest(
                user_id=f"terminal:{os.getuid()}",
                message_id=f"{os.getpid()}-{number}",
                payload=messages_pb2.Payload(text=line.strip() or "?"),
                reply_mode=messages_pb2.REPLY_MODE_OUTBOX,
            )
            calls.begin(handle_message=message)
        serving.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it while it waits for a line, too
    asyncio.run(main())

"""A terminal that shows the words of an answer as the model produces them (README, "Another channel").

Start it with `TERMINAL_TOKEN=… .venv/bin/python docs/examples/terminal.py`. To tap a button, write its title.
"""

# ruff: noqa: T201 - a terminal prints
from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import errors_pb2, kernel_pb2_grpc, messages_pb2

ADDRESS = "127.0.0.1:50051"


class Answer:
    """The answer on the screen."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, text: str) -> None:
        self.text += text
        print(text, end="", flush=True)

    def reset(self) -> None:
        if not self.text:
            return
        # A terminal cannot erase lines that have scrolled away, so it marks them as void.
        print("\n[not part of the answer]\n" if "\n" in self.text else "\r\x1b[K", end="", flush=True)
        self.text = ""

    def complete(self, replies: list[messages_pb2.Reply]) -> None:
        """Print the replies; the text on the screen is that of the first reply, or empty."""
        shown = self.text
        for reply in replies:
            if reply.text != shown:
                print(reply.text, end="")
            shown = ""
            print()
            for choice in reply.choices:
                print(f"[{choice.title}]")
            if reply.link.url:
                print(f"[{reply.link.title}] {reply.link.url}")


async def show(events: Any, answer: Answer) -> list[messages_pb2.Reply]:
    """Print the events of one message. Returns the replies."""
    async for event in events:
        match event.WhichOneof("event"):
            case "text_delta":
                answer.add(event.text_delta.text)
            case "text_reset":
                answer.reset()
            case "tool_started":
                print(f"[{event.tool_started.tool} …]")
            case "completed":
                answer.complete(list(event.completed.replies))
                return list(event.completed.replies)
    return []


def retryable(error: grpc.aio.AioRpcError) -> bool:
    """As the contract's descriptor says of the reason."""
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    any(detail.Unpack(info) for detail in (status.details if status else ()))
    reason = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name.get(f"ERROR_REASON_{info.reason}")
    return reason is None or bool(reason.GetOptions().Extensions[errors_pb2.retryable])


async def ask(kernel: Any, request: messages_pb2.StreamMessageRequest, metadata: Any) -> list[messages_pb2.Reply]:
    """Stream a message, and again if the stream breaks: by its id it is known as the same message."""
    answer = Answer()
    while True:
        try:
            return await show(kernel.StreamMessage(request, metadata=metadata), answer)
        except grpc.aio.AioRpcError as error:
            answer.reset()
            if not retryable(error):
                print(error.details())
                return []
            print(f"[waiting: {error.details()}]", file=sys.stderr)
            await asyncio.sleep(1)


async def main() -> None:
    metadata = (("authorization", f"Bearer {os.environ['TERMINAL_TOKEN']}"),)
    async with grpc.aio.insecure_channel(os.environ.get("KERNEL_ADDRESS", ADDRESS)) as channel:
        kernel = kernel_pb2_grpc.KernelServiceStub(channel)
        number = 0
        buttons: dict[str, messages_pb2.Choice] = {}  # by their titles
        while line := await asyncio.to_thread(sys.stdin.readline):
            if not (text := line.strip()):
                continue
            number += 1
            payload = messages_pb2.Payload(text=text)
            if text in buttons:
                payload = messages_pb2.Payload(choice=buttons[text])
            message = messages_pb2.HandleMessageRequest(
                user_id=f"terminal:{os.getuid()}",
                message_id=f"{os.getpid()}-{number}",
                payload=payload,
                reply_mode=messages_pb2.REPLY_MODE_INLINE,
            )
            replies = await ask(kernel, messages_pb2.StreamMessageRequest(message=message), metadata)
            buttons = {
                each.title: messages_pb2.Choice(id=each.id, title=each.title)
                for reply in replies
                for each in reply.choices
            }


if __name__ == "__main__":
    asyncio.run(main())

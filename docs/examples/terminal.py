"""A terminal that shows the words of an answer as the model produces them (docs/how-to/another-channel.md).

Start it with `TERMINAL_TOKEN=… .venv/bin/python docs/examples/terminal.py`. To tap a button, write its title.
"""

# ruff: noqa: T201 - a terminal prints
from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from kernel_client import Choice, KernelClient, KernelError, Payload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_client import Reply

ADDRESS = os.environ.get("KERNEL_ADDRESS", "127.0.0.1:50051")
PERSON = f"terminal:{os.getuid()}"


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

    def complete(self, replies: Iterable[Reply]) -> None:
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


async def ask(kernel: KernelClient, payload: Payload) -> dict[str, Choice]:
    """Print the events of one message. Returns the buttons of the answer by their titles."""
    answer, buttons = Answer(), {}
    async for event in kernel.stream(PERSON, payload):
        match event.WhichOneof("event"):
            case "text_delta":
                answer.add(event.text_delta.text)
            case "text_reset":
                answer.reset()
            case "tool_started":
                print(f"[{event.tool_started.tool} …]")
            case "completed":
                answer.complete(event.completed.replies)
                offered = [choice for reply in event.completed.replies for choice in reply.choices]
                buttons = {each.title: Choice(id=each.id, title=each.title) for each in offered}
    return buttons


async def main() -> None:
    buttons: dict[str, Choice] = {}
    async with KernelClient(ADDRESS, os.environ["TERMINAL_TOKEN"]) as kernel:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if not (text := line.strip()):
                continue
            try:
                buttons = await ask(kernel, Payload(choice=buttons[text]) if text in buttons else Payload(text=text))
            except KernelError as error:
                print(error)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it while it waits for a line, too
    asyncio.run(main())

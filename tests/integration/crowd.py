"""Many people need an account at the same time. Each writes, consents, sends their code, and is answered."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from kernel.v1 import messages_pb2

from tests.connect_browser import a_browser
from tests.integration.world import TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from emulators.faults import Call
    from tests.integration.world import World

LONGEST = 900.0
MINUTE = 60.0


@dataclass
class Crowd:
    """The results. `asked` holds the times of the requests to Composio, in seconds; `threads` is their peak."""

    answers: list[str] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    threads: int = 0
    seconds: float = 0.0

    @property
    def most_in_a_minute(self) -> int:
        begun = 0
        most = 0
        for number, at in enumerate(self.asked):
            while self.asked[begun] <= at - MINUTE:
                begun += 1
            most = max(most, number - begun + 1)
        return most


async def connect_at_once(world: World, people: int) -> Crowd:
    crowd, loop = Crowd(), asyncio.get_running_loop()
    keep = world.emulators.composio._keep

    def counted(call: Call) -> None:
        crowd.asked.append(loop.time())
        crowd.threads = max(crowd.threads, threading.active_count())
        keep(call)

    world.emulators.composio._keep = counted  # type: ignore[method-assign]
    began = loop.time()
    crowd.answers = list(await asyncio.gather(*(_connect(world, number) for number in range(people))))
    crowd.seconds = loop.time() - began
    for session in world.emulators.composio.sessions:
        tasks = world.emulators.composio.tasks_of(session.user_id)
        crowd.tasks.append(sum(task.name.startswith("Demo ") for task in tasks))
    return crowd


async def _connect(world: World, number: int) -> str:
    """Let one person connect. Returns the answer to their code."""
    user_id = f"telegram:{number}"
    offer = await _say(world, user_id, "m1", f"create a task: Demo {number}")
    async with a_browser(str(IPv4Address("198.18.0.0") + number)) as browser:
        code = await browser.follow(offer.replies[0].link.url)
    answer = await _say(world, user_id, "m2", code)
    return "\n".join(reply.text for reply in answer.replies)


async def _say(world: World, user_id: str, message_id: str, text: str) -> messages_pb2.HandleMessageResponse:
    request = messages_pb2.HandleMessageRequest(
        user_id=user_id, message_id=message_id, payload=messages_pb2.Payload(text=text)
    )
    response: messages_pb2.HandleMessageResponse = await world.stub.HandleMessage(
        request, metadata=bearer(TELEGRAM_TOKEN), timeout=LONGEST
    )
    return response

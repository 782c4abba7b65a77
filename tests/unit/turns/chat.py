"""A chat of one person over the real model port with the emulated vendor. Requests are kept as bytes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emulators.app import Emulators
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from tests.unit.turns.scene import FakeTool, Scene, Toolbox
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.models.body import Body
    from kernel_service.turns.compaction_rule import CompactionRule


class RecordingClient(OpenAIClient):
    def __init__(self, emulators: Emulators) -> None:
        super().__init__("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=30)
        self.sent: list[bytes] = []

    async def post(self, path: str, body: Body) -> bytes:
        content = body.content
        self.sent.append(content if isinstance(content, bytes) else b"".join([chunk async for chunk in content]))
        return await super().post(path, body)


class Chat:
    def __init__(self, scene: Scene, emulators: Emulators, client: RecordingClient) -> None:
        self.scene = scene
        self.emulators = emulators
        self.client = client
        self.model = OpenAIResponses(client, "gpt-6-luna")
        self.tools: list[FakeTool] = [scene.look, scene.act]
        self.kernel: Kernel | None = None
        self.turns = 0

    def rule(self, rule: CompactionRule) -> None:
        self.scene.limits = replace(self.scene.limits, compaction=rule)

    def use(self, model: str) -> None:
        """Another model, as after a restart with another setting."""
        self.model = OpenAIResponses(self.client, model)
        self.kernel = None

    def restart(self) -> None:
        """The next turn starts from the store, as in another process or at another node."""
        self.kernel = None

    async def ask(self, text: str) -> str:
        self.scene.model = self.model  # type: ignore[assignment]
        self.turns += 1
        await self.scene.hear(text, self.turns)
        if self.kernel is None:
            self.kernel = await self.scene.activated()
        runner = self.scene.runner(toolbox=Toolbox(*self.tools))
        await runner.run_next(self.kernel)
        told = await self.scene.told()
        return told[-1]

    @property
    def last(self) -> list[dict[str, Any]]:
        """The items of the newest request."""
        items: list[dict[str, Any]] = self.emulators.openai.requests[-1].body["input"]
        return items


@asynccontextmanager
async def chatting(scene: Scene) -> AsyncIterator[Chat]:
    async with Emulators.start() as emulators:
        client = RecordingClient(emulators)
        yield Chat(scene, emulators, client)
        await client.close()

"""A chat of one person over the real model port with the emulated vendor. Requests are kept as bytes."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emulators.app import Emulators
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from tests.unit.turns.scene import FakeTool, Scene, Toolbox
from tests.unlimited_queue import unlimited_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.models.body import Body
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.turns.compaction_rule import CompactionRule


class RecordingClient(OpenAIClient):
    def __init__(self, emulators: Emulators) -> None:
        super().__init__("sk-emulated", emulators.openai.base_url, queue=unlimited_queue("model"), timeout=30)
        self.sent: list[bytes] = []

    async def post(self, path: str, body: Body) -> bytes:
        await self._record(body)
        return await super().post(path, body)

    async def stream(self, path: str, body: Body, take: StreamedAnswer) -> bytes | None:
        await self._record(body)
        return await super().stream(path, body, take)

    async def _record(self, body: Body) -> None:
        content = body.content
        self.sent.append(content if isinstance(content, bytes) else b"".join([chunk async for chunk in content]))


class SearchedToolbox(Toolbox):
    """Offers `found` only after a search."""

    def __init__(self, tools: Sequence[FakeTool], found: Sequence[FakeTool]) -> None:
        super().__init__(*tools)
        self.found = {tool.schema.name: tool for tool in found}

    async def tools_for(
        self, person: Person, connections: Sequence[Connection] | None = None, found: Sequence[str] = ()
    ) -> list[Tool]:
        return [*self.tools, *(self.found[name] for name in found if name in self.found)]


class Chat:
    def __init__(self, scene: Scene, emulators: Emulators, client: RecordingClient) -> None:
        self.scene = scene
        self.emulators = emulators
        self.client = client
        self.model = OpenAIResponses(client, "gpt-6-luna")
        self.tools: list[FakeTool] = [scene.look, scene.act]
        self.found: list[FakeTool] = []
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

    async def ask(self, text: str, *, watched: bool = False) -> str:
        """The last reply. `watched`: the person's channel takes the answer as it comes."""
        self.scene.model = self.model  # type: ignore[assignment]
        self.turns += 1
        await self.scene.hear(text, self.turns)
        if self.kernel is None:
            self.kernel = await self.scene.activated()
        runner = self.scene.runner(toolbox=SearchedToolbox(self.tools, self.found))
        with self.scene.progress.watching(self.scene.seq) if watched else nullcontext():
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

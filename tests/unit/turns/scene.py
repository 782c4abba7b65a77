"""One person, a scripted model, two tools, and a real store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.kernels.kernel import Kernel
from kernel_service.outbox.outbox import Outbox
from kernel_service.outbox.typing import Typing
from kernel_service.ports.messages import Message, ReplyMode, Usage
from kernel_service.ports.model import FunctionCall, ModelAnswer, ToolSchema
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.progress import Progress
from kernel_service.ports.tools import PlainArguments, ToolResult, UnclearCallError
from kernel_service.token_counts import cut
from kernel_service.turns.calls.refused_tools import RefusedTools
from kernel_service.turns.execution.dependencies import TurnDependencies
from kernel_service.turns.files.transcription import Transcription
from kernel_service.turns.limits import TurnLimits
from kernel_service.turns.runner import TurnRunner
from tests.clock import Clock
from tests.node_view import Board, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.hints import Hints
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.model import ModelFile, ModelRequest, TextListener, UserInput
    from kernel_service.ports.payloads import Content
    from kernel_service.ports.resuming import Confirmed
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.storage.store import Store


class Model:
    """Gives the scripted answers in order when the gate is open. Records the shown items."""

    origin = "test:1"
    compacts = True

    def __init__(self) -> None:
        self.says: list[ModelAnswer | Exception] = []
        self.shown: list[list[dict[str, Any]]] = []
        self.offered: list[list[str]] = []
        self.hears: list[str | tuple[str, Usage] | Exception] = []
        self.heard: list[bytes] = []
        self.files: list[dict[str, ModelFile | str]] = []
        self.thinks: list[str] = []
        """Pieces of text that it streams to the listener, before the gate."""
        self.asked = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.hear_gate: asyncio.Event | None = None

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        self.shown.append(shown(request))
        self.offered.append([tool.name for tool in request.tools])
        self.files.append(dict(request.files))
        if listener is not None:
            self.tell(listener, self.thinks)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        if listener is not None:
            self.tell(listener, [said.text[at : at + 5] for at in range(0, len(said.text), 5)])
        return said

    def tell(self, listener: TextListener, pieces: list[str]) -> None:
        for piece in pieces:
            listener(piece)

    async def transcribe(self, recording: ModelFile) -> tuple[str, Usage]:
        self.heard.append(b"".join([chunk async for chunk in recording.chunks()]))
        if self.hear_gate is not None:
            await self.hear_gate.wait()
        said = self.hears.pop(0)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, tuple) else (said, Usage(input_tokens=7))

    def user_item(self, given: UserInput) -> dict[str, Any]:
        content = given.said.content if isinstance(given.said, Payload) else None
        return {"type": "message", "role": "user", "content": content.text if isinstance(content, Text) else ""}

    def said_item(self, text: str) -> dict[str, Any]:
        return {"type": "message", "role": "assistant", "content": text}

    def call_item(self, call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}

    def call_of(self, item: dict[str, Any]) -> FunctionCall:
        return FunctionCall(item["call_id"], item["name"], item.get("arguments", {}))

    def result_item(self, call_id: str, output: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    def shortened(self, item: dict[str, Any], most: int, note: str) -> dict[str, Any]:
        name = "output" if "output" in item else "content"
        return item | {name: cut(item[name], most, note)}


class FakeTool(PlainArguments):
    """Gives its result when the gate is open."""

    timeout = 5.0

    def __init__(self, name: str, *, read_only: bool, result: ToolResult | Exception | None = None) -> None:
        self.schema = ToolSchema(name, name, {"type": "object", "properties": {}})
        self.read_only = read_only
        self.asks_first: bool | None = False
        self.hints: Hints | None = None
        self.account: str | UnclearCallError = ""
        self.given: list[dict[str, Any]] = []
        self.results: list[ToolResult | Exception] = []
        """Returned first, in order."""
        self.result = result or ToolResult(f"{name} done", own=True)
        self.calls = 0
        self.begun = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:
        if isinstance(self.account, UnclearCallError):
            raise self.account
        return self.account

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        self.calls += 1
        self.given.append(arguments)
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        result = self.results.pop(0) if self.results else self.result
        if isinstance(result, Exception):
            raise result
        return result


class Codes:
    """Gives the scripted result for each code."""

    def __init__(self) -> None:
        self.says: dict[str, Confirmed | Exception] = {}
        self.asked: list[tuple[str, str, int, float]] = []

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        self.asked.append((person.id, code, seq, at))
        said = self.says[code]
        if isinstance(said, Exception):
            raise said
        return said


class Toolbox:
    def __init__(self, *tools: FakeTool) -> None:
        self.tools = list(tools)

    async def tools_for(
        self, person: Person, connections: Sequence[Connection] | None = None, found: Sequence[str] = ()
    ) -> list[Tool]:
        return list(self.tools)

    async def readers(self, person: Person, name: str) -> list[Tool]:
        return [tool for tool in self.tools if tool.read_only]

    async def named(self, person: Person, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.schema.name == name), None)


def shown(request: ModelRequest) -> list[dict[str, Any]]:
    return [orjson.loads(item) for item in request.items]


def says(text: str) -> ModelAnswer:
    return ModelAnswer([{"type": "message", "content": text}], text, Usage(input_tokens=10, output_tokens=5))


def calls(*names: str) -> ModelAnswer:
    items = [{"type": "function_call", "call_id": f"c_{name}", "name": name} for name in names]
    return ModelAnswer(
        items, "", Usage(input_tokens=10, output_tokens=5), [FunctionCall(f"c_{n}", n, {}) for n in names]
    )


class Scene:
    """One person with one message, a model, two tools."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.model = Model()
        self.transcription = Transcription(self.model, self.clock)
        self.look = FakeTool("look", read_only=True)
        self.act = FakeTool("act", read_only=False)
        self.ended: list[str] = []
        self.progress = Progress()
        self.typing = Typing(store.outbox, lambda *_: False)
        self.codes = Codes()
        self.limits = TurnLimits(steps=4)
        self.person_id = ""
        self.seq = 0

    async def hear(self, text: str = "do it", number: int = 1, user: str = "chat:1") -> None:
        await self.send(Text(text), number, user)

    async def send(self, content: Content, number: int = 1, user: str = "chat:1") -> None:
        message = Message(user, f"m{number}", Payload(content), reply_mode=ReplyMode.INLINE)
        accepted = await self.store.inbox.accept(message, now=self.clock(), max_pending=10)
        self.person_id, self.seq = accepted.person_id, accepted.seq

    async def activated(self) -> Kernel:
        activation = await self.store.kernels.activate(self.person_id, owner="k", model=self.model.origin)
        return Kernel(activation, self.clock())

    def runner(self, **changes: Any) -> TurnRunner:
        turns = TurnDependencies(
            store=self.store,
            model=self.model,
            transcription=self.transcription,
            toolbox=Toolbox(self.look, self.act),
            refused_tools=RefusedTools(self.clock),
            codes=self.codes,
            limits=self.limits,
            instructions="",
            clock=self.clock,
            ended=lambda turn: self.ended.append(turn.id),
            delivery=Outbox(self.store.outbox, View(), Board(), self.clock),
            progress=self.progress,
            typing=self.typing,
        )
        return TurnRunner(replace(turns, **changes), debounce=0)

    async def run(self, kernel: Kernel | None = None, **changes: Any) -> float | None:
        return await self.runner(**changes).run_next(kernel or await self.activated())

    async def told(self) -> list[str]:
        return [reply.text for reply in await self.replies()]

    async def replies(self) -> list[Reply]:
        answer = await self.store.inbox.answer_of(self.person_id, self.seq)
        return [stored.reply for stored in answer.replies]

    async def history(self) -> list[HistoryItem]:
        return (await self.store.kernels.activate(self.person_id, owner="reader")).history

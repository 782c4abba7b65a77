"""The model and the tools of a turn, with a span around each request to a vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.model import Model, ModelAnswer, ModelRequest, TextListener
    from kernel_service.ports.tools import Person, Tool, Toolbox, ToolResult
    from serving.traces import Spans


def traced_model(model: Model, spans: Spans) -> Model:
    return cast("Model", _TracedModel(model, spans))


def traced_toolbox(toolbox: Toolbox, spans: Spans) -> Toolbox:
    return _TracedToolbox(toolbox, spans)


class _TracedModel:
    def __init__(self, model: Model, spans: Spans) -> None:
        self._model = model
        self._spans = spans

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def answer(self, request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        with self._spans.within("model", model=self._model.origin) as span:
            answer = await self._model.answer(request, listener)
            span.set_attributes(
                {
                    "input_tokens": answer.usage.input_tokens,
                    "cached_input_tokens": answer.usage.cached_input_tokens,
                    "output_tokens": answer.usage.output_tokens,
                    "calls": len(answer.calls),
                }
            )
            return answer


class _TracedToolbox:
    def __init__(self, toolbox: Toolbox, spans: Spans) -> None:
        self._toolbox = toolbox
        self._spans = spans

    async def tools_for(
        self, person: Person, connections: Sequence[Connection] | None = None, found: Sequence[str] = ()
    ) -> list[Tool]:
        return [self._traced(tool) for tool in await self._toolbox.tools_for(person, connections, found)]

    async def readers(self, person: Person, name: str) -> Sequence[Tool]:
        return [self._traced(tool) for tool in await self._toolbox.readers(person, name)]

    async def named(self, person: Person, name: str) -> Tool | None:
        tool = await self._toolbox.named(person, name)
        return self._traced(tool) if tool else None

    def _traced(self, tool: Tool) -> Tool:
        return cast("Tool", _TracedTool(tool, self._spans))


class _TracedTool:
    def __init__(self, tool: Tool, spans: Spans) -> None:
        self._tool = tool
        self._spans = spans

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        with self._spans.within("tool", tool=self._tool.schema.name, read_only=self._tool.read_only) as span:
            result = await self._tool.call(person, arguments)
            span.set_attribute("ok", result.ok)
            return result

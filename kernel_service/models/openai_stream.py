"""A response that arrives as events: its text at once, the whole of it at the end.

Source: openai 3.54, `types/responses/response_*_event.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from kernel_service.models.text_teller import TextTeller
from kernel_service.storable import storable

if TYPE_CHECKING:
    from kernel_service.ports.model import TextListener

_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class StreamedAnswer(Protocol):
    """Receives the events of one answer in order. Unknown events are ignored."""

    def take(self, event: object) -> bool:
        """Whether the answer is whole. Events may still follow."""
        ...

    def is_whole(self, *, marked: bool) -> bool:
        """Whether the answer is whole, given that the stream is over. `marked`: the server sent `[DONE]`."""
        ...

    @property
    def response(self) -> dict[str, Any]:
        """The answer, in the form that the same server sends in one piece."""
        ...


class StreamedResponse(StreamedAnswer):
    """An answer of the Responses API; `listener` receives its text."""

    def __init__(self, listener: TextListener) -> None:
        self._teller = TextTeller(listener)
        self._place: tuple[object, object] | None = None
        self._items: list[Any] = []
        self._begun: dict[object, Any] = {}
        """Items without their last event, by their place."""
        self._called: dict[object, Any] = {}
        """Calls whose arguments are complete, by their place: some servers send no other last event for them."""
        self._response: dict[str, Any] = {}

    def take(self, event: object) -> bool:
        if not isinstance(event, dict) or self._response:
            return bool(self._response)
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._say(event)
        elif kind == "response.output_item.added":
            self._begun[event.get("output_index")] = event.get("item")
        elif kind == "response.function_call_arguments.done":
            self._call(event)
        elif kind == "response.output_item.done":
            self._begun.pop(event.get("output_index"), None)
            self._items.append(event.get("item"))
        elif kind == "error":
            self._response = {"error": event}
        elif kind in _LAST and isinstance(event.get("response"), dict):
            self._response = event["response"]
            self._teller.end()
        return bool(self._response)

    def is_whole(self, *, marked: bool) -> bool:  # noqa: ARG002
        """OpenRouter and others end some streams after the last item."""
        return bool(self._response) or (bool(self._items) and not self._begun)

    @property
    def response(self) -> dict[str, Any]:
        """Some servers send the items, or the calls among them, only in separate events."""
        whole = self._response
        calls = [call for place, call in self._called.items() if place in self._begun]
        items = [*self._items, *calls]
        told = whole.get("output")
        if not whole.get("error") and (not told or (calls and not _has_call(told))):
            whole = whole | {"output": items}
        repaired: dict[str, Any] = storable(whole)
        return repaired

    def _call(self, event: dict[str, Any]) -> None:
        item = self._begun.get(event.get("output_index"))
        if isinstance(item, dict) and item.get("type") == "function_call":
            called = {"arguments": event.get("arguments"), "status": "completed"}
            self._called[event.get("output_index")] = item | called

    def _say(self, event: dict[str, Any]) -> None:
        """The parts of a text are separated as in ModelAnswer.text."""
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return
        place = event.get("output_index"), event.get("content_index")
        apart = "" if self._place in (None, place) else "\n\n"
        self._place = place
        self._teller.tell(f"{apart}{delta}")


def _has_call(output: object) -> bool:
    items = output if isinstance(output, list) else []
    return any(isinstance(item, dict) and item.get("type") == "function_call" for item in items)

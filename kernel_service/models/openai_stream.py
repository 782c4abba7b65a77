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

    def is_whole(self) -> bool:
        """Whether the answer is whole, given that the server says that the stream is over."""
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
        self._response: dict[str, Any] = {}

    def take(self, event: object) -> bool:
        if not isinstance(event, dict) or self._response:
            return self.is_whole()
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._say(event)
        elif kind == "response.output_item.done":
            self._items.append(event.get("item"))
        elif kind == "error":
            self._response = {"error": event}
        elif kind in _LAST and isinstance(event.get("response"), dict):
            self._response = event["response"]
            self._teller.end()
        return self.is_whole()

    def is_whole(self) -> bool:
        return bool(self._response)

    @property
    def response(self) -> dict[str, Any]:
        """Some servers send the items only in separate events."""
        whole = self._response
        if not whole.get("output") and not whole.get("error"):
            whole = whole | {"output": self._items}
        repaired: dict[str, Any] = storable(whole)
        return repaired

    def _say(self, event: dict[str, Any]) -> None:
        """The parts of a text are separated as in ModelAnswer.text."""
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return
        place = event.get("output_index"), event.get("content_index")
        apart = "" if self._place in (None, place) else "\n\n"
        self._place = place
        self._teller.tell(f"{apart}{delta}")

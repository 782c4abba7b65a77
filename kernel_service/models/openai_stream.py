"""A response that comes as events: its text while it comes, the whole of it at the end.

Source: openai 3.54, `types/responses/response_*_event.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel_service.storable import storable, storable_text

if TYPE_CHECKING:
    from kernel_service.ports.model import TextListener

_HIGH_SURROGATES: Final = ("\ud800", "\udbff")
"""JSON may hold a character as two halves, and a server may cut between them."""
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class StreamedResponse:
    """Takes the events of one response in order; `listener` is told its text."""

    def __init__(self, listener: TextListener) -> None:
        self._listener = listener
        self._place: tuple[object, object] | None = None
        self._half = ""
        self._items: list[Any] = []
        self._response: dict[str, Any] = {}

    def take(self, event: object) -> bool:
        """Whether this is the last event. Unknown events are ignored."""
        if not isinstance(event, dict):
            return False
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._say(event)
        elif kind == "response.output_item.done":
            self._items.append(event.get("item"))
        elif kind == "error":
            self._response = {"error": event}
        elif kind in _LAST and isinstance(event.get("response"), dict):
            self._response = event["response"]
            self._end_text()
        return bool(self._response)

    @property
    def response(self) -> dict[str, Any]:
        """The whole response, once the last event was taken. Some servers send the items only in separate events."""
        whole = self._response
        if not whole.get("output") and not whole.get("error"):
            whole = whole | {"output": self._items}
        mended: dict[str, Any] = storable(whole)
        return mended

    def _say(self, event: dict[str, Any]) -> None:
        """The parts of a text are separated as in ModelAnswer.text."""
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return
        place = event.get("output_index"), event.get("content_index")
        apart = "" if self._place in (None, place) else "\n\n"
        self._place = place
        text = f"{self._half}{apart}{delta}"
        self._half = text[-1] if _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1] else ""
        if whole := text.removesuffix(self._half):
            self._listener(storable_text(whole))

    def _end_text(self) -> None:
        """The stream has ended, so a pending high surrogate has no counterpart."""
        if self._half:
            self._listener(storable_text(self._half))

"""The possible outputs of a model call, and the queue of turns that a test has written for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from emulators.faults import Call, Match, every


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is an object, or a string that is sent unchanged (a model may write invalid JSON)."""

    name: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True, slots=True)
class Refused:
    """The model declines, in its own words."""

    text: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The response ends early, after text."""

    text: str = ""
    reason: Literal["max_output_tokens", "content_filter"] = "max_output_tokens"


@dataclass(frozen=True, slots=True)
class Failed:
    """The response has status failed, with HTTP 200."""

    message: str = "The model failed to generate a response."
    code: str = "server_error"


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks: in a stream after the first half of the text, otherwise instead of the response.

    `quietly`: the stream ends there as if it were complete.
    """

    text: str = ""
    quietly: bool = False


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The stream ends with an `error` event after the text; a plain response has status failed."""

    text: str = ""
    message: str = (
        "The server had an error while processing your request. Sorry about that!"  # language: ok - the vendor's
    )
    code: str = "server_error"


@dataclass(frozen=True, slots=True)
class Nothing:
    """The model ends without any text. Without reasoning `output` is empty."""

    reasoning: bool = True


Output = Text | ToolCall | Refused | Incomplete | Failed | Cut | Nothing | ErrorEvent
Turn = list[Output]


@dataclass(slots=True)
class _Planned:
    turn: Turn
    match: Match


class Script:
    """Turns in the order in which they were written. Each is used once, by the first call that it matches."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def write(self, turns: Iterable[str | Output | Turn], match: Match = every) -> None:
        """A turn is a text, one output, or the outputs of one response."""
        self._planned.extend(_Planned(_turn(turn), match) for turn in turns)

    def next(self, call: Call) -> Turn | None:
        for planned in self._planned:
            if planned.match(call):
                self._planned.remove(planned)
                return planned.turn
        return None

    def clear(self) -> None:
        self._planned.clear()


def _turn(turn: str | Output | Turn) -> Turn:
    if isinstance(turn, str):
        return [Text(turn)]
    return turn if isinstance(turn, list) else [turn]


def from_json(value: Any) -> Turn:
    """A turn written in JSON: a text, or one or several of {text}, {call, arguments}, {refusal}, {nothing}, ..."""
    if isinstance(value, list):
        return [output for part in value for output in from_json(part)]
    if isinstance(value, str):
        return [Text(value)]
    if isinstance(value, dict) and "call" in value:
        return [ToolCall(value["call"], value.get("arguments", {}))]
    if isinstance(value, dict) and len(value) == 1:
        name, text = next(iter(value.items()))
        if name in _NAMED:
            return [_NAMED[name](text)]
    raise ValueError(
        "a turn is a text or has one of text, call, refusal, incomplete, failed, cut, error_event, nothing"
    )


_NAMED: dict[str, Callable[[Any], Output]] = {
    "text": Text,
    "refusal": Refused,
    "incomplete": Incomplete,
    "failed": Failed,
    "cut": Cut,
    "error_event": ErrorEvent,
    "nothing": lambda reasoning: Nothing(reasoning=bool(reasoning)),
}

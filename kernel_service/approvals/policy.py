"""Which tools ask first: those that say so, as a bot's operator adds to them and takes from them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kernel_service.turns.tools import Tool


class ApprovalPolicy:
    """Patterns of names, as a shell's: `ASANA_CREATE_*` asks, `!GMAIL_SEND_*` does not, whatever the tool says."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._named = [pattern for pattern in patterns if not pattern.startswith("!")]
        self._exempt = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]

    def __call__(self, tool: Tool, arguments: Mapping[str, Any], *, tainted: bool) -> bool:
        """Whether the person is asked before this call. `tainted`: outside content is among what the model sees."""
        del arguments, tainted
        name = tool.schema.name
        if any(fnmatchcase(name, pattern) for pattern in self._exempt):
            return False
        return tool.asks_first or any(fnmatchcase(name, pattern) for pattern in self._named)

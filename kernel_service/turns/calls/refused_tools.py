"""Tools that the model's vendor refuses. One such tool makes the vendor refuse every request that offers it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service.storable import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.model import ModelRejectedError, ToolSchema

log = logging.getLogger(__name__)

MOST_OFFERED: Final = 128
"""The most tools in one request, by OpenAI's limit."""
KEPT_SECONDS: Final = 86_400.0
"""A refused tool is offered again after this time, since vendors change what they accept."""
MOST_NAMED: Final = 10
"""The most tools that a turn leaves out one by one. After that it offers none."""
MOST_KEPT: Final = 1000
MOST_COUNTED: Final = 100
"""The most tools that are counted by name. All others share one counter."""

# A vendor behind a proxy numbers the tools in its own form, which is tried first.
_PLACES: Final = (
    re.compile(r"\bfunction_declarations\[(\d+)\]"),
    re.compile(r"\btools\[(\d+)\]"),
    re.compile(r"\btools\.(\d+)\."),
)
_NAME: Final = re.compile(r"\b(?:function|tool)\s*:?\s*['\"`]([a-zA-Z0-9_-]{1,64})['\"`]", re.IGNORECASE)
_LIMIT: Final = re.compile(r"maximum length (\d+)")
_ABOUT_TOOLS: Final = re.compile(r"Invalid schema for function '|Invalid 'tools\[")


@dataclass(slots=True)
class RefusedTools:
    """Refused tools, for all turns of the process. The key is the whole schema: a corrected tool is offered again.

    `counts`: the number of refusals by tool name. `names`: those of all tools that it may hold.
    """

    clock: Callable[[], float]
    counts: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(init=False, default_factory=set)
    _until: dict[bytes, float] = field(init=False, default_factory=dict)

    def holds(self, schema: ToolSchema) -> bool:
        """Whether the vendor has refused it recently."""
        return schema.name in self.names and self._until.get(_digest(schema), 0.0) > self.clock()

    def add(self, schema: ToolSchema) -> None:
        if len(self._until) >= MOST_KEPT:
            self._until.clear()
            self.names.clear()
        self.names.add(schema.name)
        self._until[_digest(schema)] = self.clock() + KEPT_SECONDS

    def count(self, name: str) -> None:
        self.counts[name if name in self.counts or len(self.counts) < MOST_COUNTED else "other"] += 1


@dataclass(slots=True)
class OfferedTools:
    """The tools that one turn offers. Each refusal that concerns tools removes some of them."""

    refused: RefusedTools
    _left_out: set[str] = field(init=False, default_factory=set)
    _most: int = field(init=False, default=MOST_OFFERED)
    _offered: list[ToolSchema] = field(init=False, default_factory=list)

    def of(self, schemas: list[ToolSchema]) -> list[ToolSchema]:
        """The tools that the next request offers."""
        if self._left_out or self.refused.names:
            schemas = [each for each in schemas if each.name not in self._left_out and not self.refused.holds(each)]
        self._offered = schemas[: self._most]
        return self._offered

    def leave_out(self, rejected: ModelRejectedError) -> bool:
        """Leave out tools after the vendor refused a request for its tools. Returns False if none can be left out.

        A tool that the vendor names with certainty is left out of all turns. Any other tool is left out of this turn
        only, since the vendor's sentence may repeat what people said.
        """
        if not self._offered:
            return False
        named = _named(rejected, self._offered) if len(self._left_out) < MOST_NAMED else None
        if named is not None:
            self._leave_out(named, for_all=_is_certain(rejected), code=rejected.code)
        elif rejected.param.startswith("tools") or rejected.code == "invalid_function_parameters":
            self._leave_out_the_last(rejected)
        else:
            return False
        return True

    def _leave_out(self, tool: ToolSchema, *, for_all: bool, code: str) -> None:
        self._left_out.add(tool.name)
        if for_all:
            self.refused.add(tool)
        self.refused.count(tool.name)
        log.error("alert: the model's vendor refuses a tool, so it is left out tool=%s code=%s", tool.name, code)

    def _leave_out_the_last(self, rejected: ModelRejectedError) -> None:
        """For too many tools, or a refused tool that is not named. Tools of toolkits are last in the list."""
        count, limit = len(self._offered), _LIMIT.search(rejected.message)
        self._most = min(int(limit[1]) if limit else count // 2, count - 1)
        self.refused.count("unnamed")
        log.error(
            "alert: the model's vendor refuses some of %d tools, now %d code=%s", count, self._most, rejected.code
        )


def _named(rejected: ModelRejectedError, offered: Sequence[ToolSchema]) -> ToolSchema | None:
    """The tool that the vendor refers to, by its index or by its name."""
    for text in (rejected.param, rejected.message):
        for pattern in _PLACES:
            if (found := pattern.search(text)) and int(found[1]) < len(offered):
                return offered[int(found[1])]
    names = _NAME.findall(rejected.message)
    return next((schema for schema in offered if schema.name in names), None)


def _is_certain(rejected: ModelRejectedError) -> bool:
    return rejected.param.startswith("tools") or _ABOUT_TOOLS.match(rejected.message) is not None


def _digest(schema: ToolSchema) -> bytes:
    return hashlib.sha256(to_json([schema.name, schema.description]) + schema.parameters_json).digest()

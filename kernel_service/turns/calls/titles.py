"""Titles for ids in approval prompts: a task id of sixteen digits does not tell a person which task it is.

A title is looked up and never taken from the model. The sources are earlier results of tools of the same toolkit, then
a call of a read-only tool of that toolkit. The prompt shows the title next to the id and marks it as looked up, because
the creator of the object chose its words.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kernel_service.errors import VendorUnavailable
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kernel_service.approvals.policy import ApprovalPolicy
    from kernel_service.ports.tools import Person, Tool, Toolbox
    from kernel_service.turns.context.transcript import Transcript

log = logging.getLogger(__name__)

LOOKUP_SECONDS: Final = 5.0
"""How long the prompts of a turn may wait for titles, in total."""
MOST_IDS: Final = 5
LEAST_KNOWN: Final = 5
"""The least length of an id that is matched in earlier results: `7` means a different thing in each of them."""
MOST_ID: Final = 200

_IDS: Final = ("id", "gid", "uid", "uuid", "key", "number", "iid")
_TITLES: Final = ("name", "title", "subject", "summary", "display_name", "displayname")
_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_READS: Final = re.compile(r"(?:^|_)(?:GET|RETRIEVE|FETCH|READ|FIND|SHOW)(?:_|$)", re.IGNORECASE)


@dataclass(slots=True)
class Titles:
    """Of one turn of one person."""

    person: Person
    transcript: Transcript
    toolbox: Toolbox
    asks_first: ApprovalPolicy
    _seconds_spent: float = field(init=False, default=0.0)

    async def of(self, tool: str, arguments: dict[str, Any]) -> dict[str, str]:
        """Titles by id, as far as they can be found in time."""
        ids = list(ids_in(arguments))[:MOST_IDS]
        results = list(self.transcript.results()) if ids else []
        found = {value: title for name, value in ids if (title := _seen(results, tool, name, value))}
        missing = [(name, value) for name, value in ids if value not in found]
        if missing and self._seconds_spent < LOOKUP_SECONDS:
            found |= await self._looked_up(tool, arguments, missing)
        return found

    async def _looked_up(
        self, tool: str, arguments: dict[str, Any], missing: Sequence[tuple[str, str]]
    ) -> dict[str, str]:
        """Titles from read-only calls. A missing title neither delays nor prevents a prompt."""
        found: dict[str, str] = {}
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS - self._seconds_spent):
                readers = await self.toolbox.readers(self.person, tool)
                for name, value in missing:
                    if title := await self._read_by(readers, arguments, name, value):
                        found[value] = title
        except (TimeoutError, VendorUnavailable):
            log.info("titles not looked up tool=%s", tool)
        except Exception:
            log.exception("titles cannot be looked up tool=%s", tool)
        self._seconds_spent += asyncio.get_running_loop().time() - began
        return found

    async def _read_by(self, readers: Iterable[Tool], arguments: dict[str, Any], name: str, value: str) -> str:
        reader = reader_of(readers, arguments, name)
        if reader is None:
            return ""
        given = {each: arguments[each] for each in reader.schema.parameters["properties"] if each in arguments}
        if isinstance(given[name], list):
            given[name] = value
        # A prompt for one call must not make another call that needs approval itself.
        if self.asks_first(reader, given, tainted=self.transcript.tainted):
            return ""
        result = await reader.call(self.person, given)
        return title_in(_read(result.output), name, value) if result.ok else ""


def _seen(results: Sequence[tuple[str, str]], tool: str, name: str, value: str) -> str:
    """The title from the newest result of the same toolkit that has it."""
    if len(value) < LEAST_KNOWN:
        return ""
    for of, output in results:
        if _toolkit(of) == _toolkit(tool) and value in output and (title := title_in(_read(output), name, value)):
            return title
    return ""


# --- what is an id --------------------------------------------------------------------------------------------------


def ids_in(arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Arguments whose names show that they are ids: `task_gid`, `messageId`, `ids`."""
    for name, value in arguments.items():
        if not _names_a_thing(name):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str | int) and not isinstance(each, bool) and 0 < len(str(each)) <= MOST_ID:
                yield name, str(each)


def _names_a_thing(name: str) -> bool:
    words = _words(name)
    return bool(words) and (words[-1] in _IDS or words[-1].removesuffix("s") in _IDS)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


# --- where its title is ---------------------------------------------------------------------------------------------


def title_in(value: Any, name: str, wanted: str) -> str:
    """The title of the object with this id in a result; empty: none. `name` is the name of the argument."""
    if isinstance(value, dict):
        if _is(value, name, wanted) and (title := _title(value)):
            return title
        value = list(value.values())
    if not isinstance(value, list):
        return ""
    return next((title for each in value if (title := title_in(each, name, wanted))), "")


def _is(thing: dict[str, Any], name: str, wanted: str) -> bool:
    """Compares the object's own id, or else a field named like the argument. Other fields identify other objects."""
    own = [value for key, value in thing.items() if key.lower() in _IDS]
    called = [value for key, value in thing.items() if _words(key) == _words(name)]
    return any(str(value) == wanted for value in own or called if isinstance(value, str | int))


def _title(thing: dict[str, Any]) -> str:
    titles = {key.lower(): value for key, value in thing.items() if isinstance(value, str) and value.strip()}
    return next((titles[name] for name in _TITLES if name in titles), "")


def _read(output: str) -> Any:
    """The value of a result, without the words that we append. None: it is not JSON."""
    for text in (output, output.partition("\n")[0]):
        try:
            return from_json(text)
        except ValueError:
            continue
    return None


# --- which tool can be called ----------------------------------------------------------------------------------------


def reader_of(readers: Iterable[Tool], arguments: dict[str, Any], name: str) -> Tool | None:
    """The tool that gets this object: it requires the id, and no argument that the call lacks."""
    fitting = [
        tool
        for tool in readers
        if tool.read_only
        and _READS.search(tool.schema.name)
        and name in (needed := _required(tool))
        and set(needed) <= set(arguments)
    ]
    # ASANA_GET_TASK before ASANA_GET_STORIES_FOR_TASK.
    return min(fitting, key=lambda tool: (len(_required(tool)), len(tool.schema.name)), default=None)


def _required(tool: Tool) -> list[str]:
    required: list[str] = tool.schema.parameters.get("required", [])
    return required


def _toolkit(tool: str) -> str:
    """By the name: toolkit tools have names in capitals that begin with it. Others are the bot developer's."""
    return tool.partition("_")[0] if tool[:1].isupper() else ""

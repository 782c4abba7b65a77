"""The tools with which the model keeps a few facts about the person for later chats, and forgets them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.errors import StoreUnavailable
from kernel_service.ports.memory import MOST_FACT_CHARS, MOST_FACTS, FactLabel, KeptAs
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.tools import NeedsNoAccount, ToolResult
from kernel_service.schedules.listing import all_of
from kernel_service.schedules.words import in_words as schedule_in_words
from kernel_service.turns.context.times import in_words
from kernel_service.zones import said_zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.tools import Person

NOT_DONE: Final = "Not done: the assistant's own store does not respond right now. Try again."
_LABELS: Final = {"name": FactLabel.NAME, "language": FactLabel.LANGUAGE, "fact": FactLabel.NONE}
"""By the argument that holds the text."""
_STAY: Final = (
    "The person's schedules keep the time zone that they have: the person reads which below your answer. Offer to set "
    "them again for the new one."
)
_MOST_NUMBERS: Final = 2 * MOST_FACTS


class RememberTool(NeedsNoAccount):
    """Keeps what the person says about themselves. Repeating a call changes nothing."""

    read_only = False
    asks_first = False
    timeout = 10.0
    schema = ToolSchema(
        "remember",
        "Keep a lasting fact that the person tells you about themselves, for later chats. Give at least one of the "
        "fields. Never keep secrets such as passwords, or things that matter only today, or reminders.",
        {
            "type": "object",
            "properties": {
                "fact": {
                    "type": "string",
                    "description": f"One fact in one sentence of at most {MOST_FACT_CHARS} characters.",
                },
                "name": {"type": "string", "description": "The name by which the person wants to be called."},
                "language": {"type": "string", "description": "The language in which the person wants answers."},
                "time_zone": {
                    "type": "string",
                    "description": "If the person says where they are or travel: its IANA name, such as Asia/Tokyo.",
                },
            },
        },
    )

    def __init__(self, memory: MemoryStore, schedules: ScheduleStore, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._schedules = schedules
        self._clock = clock

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        given = {name: value for name, value in arguments.items() if value not in (None, "")}
        if problem := _problem(given):
            return _told(problem, ok=False)
        try:
            stay = await self._that_stay(person, given)
            told = [await self._keep(person, name, one_line(value)) for name, value in given.items()]
        except StoreUnavailable:
            return _told(NOT_DONE, ok=False)
        confirmed = ""
        if stay:
            told.append(_STAY)
            confirmed = texts.schedules.stay(stay)
        return ToolResult(" ".join(told), own=True, confirmed=confirmed, changes_memory=True)

    async def _that_stay(self, person: Person, given: dict[str, Any]) -> list[tuple[str, str]]:
        """The request and the words of each schedule that keeps another zone than the one to which the person moves.

        They were made for it, and a silent move would surprise the person.
        """
        zone = said_zone(one_line(given.get("time_zone", "")))
        if not zone or (await self._memory.of_person(person.id)).time_zone in ("", zone):
            return []
        return [
            (each.asked.request, schedule_in_words(each.asked, each.next_due_at, now=self._clock(), here=zone))
            for each in await all_of(self._schedules, person.id)
            if each.asked.time_zone != zone
        ]

    async def _keep(self, person: Person, name: str, text: str) -> str:
        if name == "time_zone":
            zone = said_zone(text)
            await self._memory.move_to(person.id, zone)
            return f"The person's time zone is {zone} from now on. There it is {in_words(self._clock(), zone)}."
        kept, number = await self._memory.remember(person.id, text, _LABELS[name], now=self._clock())
        match kept:
            case KeptAs.NEW:
                return f"The {name} is kept, as number {number}."
            case KeptAs.REPLACED:
                return f"The {name} is kept, as number {number}, instead of the one before."
            case KeptAs.KNOWN:
                return f"The {name} is known already, as number {number}."
            case KeptAs.NOT_KEPT:
                return f"The {name} is not kept: there are {MOST_FACTS} facts, the most. Ask which to forget."


class ForgetFactTool(NeedsNoAccount):
    """Deletes facts about the person, by their numbers."""

    read_only = False
    asks_first = False
    timeout = 10.0
    schema = ToolSchema(
        "forget_fact",
        "Forget facts about the person that they take back or that are no longer true.",
        {
            "type": "object",
            "properties": {
                "numbers": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "The numbers of the facts, as you were told them.",
                },
                "time_zone": {"type": "boolean", "description": "True: also forget where the person said they are."},
            },
        },
    )

    def __init__(self, memory: MemoryStore) -> None:
        self._memory = memory

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        numbers = _numbers(arguments.get("numbers"))
        forgets_zone = arguments.get("time_zone") is True
        if numbers is None or not (numbers or forgets_zone):
            return _told('Give the numbers of the facts, for example {"numbers": [3]}.', ok=False)
        try:
            gone = {fact.number for fact in await self._memory.forget(person.id, numbers)}
            if forgets_zone:
                await self._memory.move_to(person.id, "")
        except StoreUnavailable:
            return _told(NOT_DONE, ok=False)
        told = [f"Number {each} is forgotten." if each in gone else f"There is no number {each}." for each in numbers]
        told += ["Where the person said they are is forgotten."] if forgets_zone else []
        return ToolResult(" ".join(told), ok=bool(gone or forgets_zone), own=True, changes_memory=True)

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:
        """The texts of the facts."""
        numbers = _numbers(arguments.get("numbers")) or []
        facts = (await self._memory.of_person(person.id)).facts
        return {str(fact.number): fact.text for fact in facts if fact.number in numbers}


def one_line(text: str) -> str:
    """Without characters that cannot be seen, which could hide words or feign another line."""
    plain = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if _is_unseen(each) else each for each in plain).split())


def _is_unseen(character: str) -> bool:
    # Joiners make one character of several in some scripts and in pictures.
    return character not in "\u200c\u200d" and unicodedata.category(character)[0] in "CZ"


def _problem(given: dict[str, Any]) -> str:
    """Why nothing can be kept; empty: it can."""
    fields = (*_LABELS, "time_zone")
    if not given or not set(given) <= set(fields):
        return f"Nothing was kept: give at least one of {', '.join(fields)}, and nothing else."
    for name, value in given.items():
        if not isinstance(value, str) or not one_line(value):
            return f"Nothing was kept: give the {name} as text."
        if len(one_line(value)) > MOST_FACT_CHARS:
            return f"Nothing was kept: the {name} has more than {MOST_FACT_CHARS} characters. Say it more briefly."
    if "time_zone" in given and not said_zone(one_line(given["time_zone"])):
        return (
            "Nothing was kept: that is no time zone. Give the IANA name of the zone of a place, such as Europe/Berlin "
            "or America/New_York. If you do not know the place, ask the person for their city."
        )
    return ""


def _numbers(given: Any) -> list[int] | None:
    """Each once; None: they are no numbers."""
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > _MOST_NUMBERS:
        return None
    return list(dict.fromkeys(given)) if all(type(each) is int for each in given) else None


def _told(sentence: str, *, ok: bool = True) -> ToolResult:
    return ToolResult(sentence, ok=ok, own=True)

"""The tools with which the model sets, lists and deletes the person's schedules. Each answers in words to confirm."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.errors import KernelError, NotFound, StoreUnavailable
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.ports.tools import NeedsNoAccount, ToolResult
from kernel_service.schedules.listing import all_of
from kernel_service.schedules.recurrence import UnreadableCronError, check, moment_of
from kernel_service.schedules.words import in_words, recurrence_in_words
from kernel_service.storable import to_json
from kernel_service.tools.memory import NOT_DONE
from kernel_service.zones import said_zone, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.schedules import Schedule, ScheduleStore
    from kernel_service.ports.tools import Person
    from kernel_service.ports.triggers import Trigger, TriggerStore

MOST_LISTED_CHARS: Final = 200
"""Characters of a request in a list."""
MOST_MINUTES: Final = 10 * 366 * 24 * 60
SAME_SECONDS: Final = 120.0
"""Two schedules that run once are one if they have the same request and are due within this time of each other."""
_WAYS: Final = ("in_minutes", "at", "cron")
_LOCAL: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d)?")
_EXAMPLE: Final = '"2026-11-30T09:00"'
_NO_SUCH: Final = (
    "The person has no schedule of this id. list_schedules tells which there are; what it lists as a trigger ends with "
    "delete_trigger."
)


class _RefusedError(Exception):
    """The arguments are wrong or ambiguous. The sentence says what to do."""


class CreateScheduleTool(NeedsNoAccount):
    """Sets a reminder or a task for a time. A repeated call finds the schedule that it made."""

    read_only = False
    asks_first = False
    timeout = 10.0
    schema = ToolSchema(
        "create_schedule",
        "Remind the person of something, or do something for them, at a time or again and again. Give exactly one of "
        "in_minutes, at and cron. Confirm it to the person with the words of the result: what, weekday, time and zone.",
        {
            "type": "object",
            "properties": {
                "kind": {
                    "type": "string",
                    "enum": [each.value for each in ScheduleKind],
                    "description": "remind: the request is sent to the person as it is. do: you are given the request "
                    "as a task, and can use tools.",
                },
                "request": {
                    "type": "string",
                    "description": "remind: the words of the reminder, to the person and in their language. do: the "
                    "task, with every detail that it needs.",
                },
                "in_minutes": {"type": "integer", "description": "Once, this number of minutes from now."},
                "at": {
                    "type": "string",
                    "description": f"Once, at this local date and time, as {_EXAMPLE}, without an offset.",
                },
                "cron": {
                    "type": "string",
                    "description": "Again and again: minute hour day-of-month month day-of-week in local time, as "
                    '"30 8 * * 1-5".',
                },
                "time_zone": {
                    "type": "string",
                    "description": "The IANA name of the zone of `at` or `cron`, only if it is not the person's own.",
                },
            },
            "required": ["kind", "request"],
        },
    )

    def __init__(self, schedules: ScheduleStore, memory: MemoryStore, clock: Callable[[], float]) -> None:
        self._schedules = schedules
        self._memory = memory
        self._clock = clock

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        try:
            return await self._create(person, arguments)
        except _RefusedError as refused:
            return _told(f"Not set: {refused}", ok=False)
        except StoreUnavailable:
            return _told(NOT_DONE, ok=False)
        except KernelError as refused:
            return _told(f"Not set: {refused.sentence}.", ok=False)

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The cron fields."""
        cron = arguments.get("cron")
        try:
            check(cron if isinstance(cron, str) else "")
        except UnreadableCronError:
            return {}
        return {str(cron): recurrence_in_words(str(cron))}

    async def _create(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        now, here = self._clock(), (await self._memory.of_person(person.id)).time_zone
        new, note = _read(arguments, person, here, now)
        same = next((each for each in await all_of(self._schedules, person.id) if _is_same(each.asked, new)), None)
        made = same or await self._schedules.create(person.id, new, request_id=_request_id(person, new), now=now)
        told = in_words(made.asked, made.next_due_at, now=now, here=here)
        began = "This is set already" if same else "Set"
        output = f"{began}: {told}.{note} Its id is {made.id}. Tell the person in these words when it runs."
        return ToolResult(output, own=True, confirmed=f"{told}.{note}")


class ListSchedulesTool(NeedsNoAccount):
    """All schedules and triggers of the person, in words."""

    read_only = True
    asks_first = False
    timeout = 10.0
    schema = ToolSchema(
        "list_schedules",
        "List the person's reminders and scheduled tasks, and the news that they wait for (kind trigger).",
        {"type": "object", "properties": {}},
    )

    def __init__(
        self, schedules: ScheduleStore, triggers: TriggerStore, memory: MemoryStore, clock: Callable[[], float]
    ) -> None:
        self._schedules = schedules
        self._triggers = triggers
        self._memory = memory
        self._clock = clock

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:  # noqa: ARG002
        try:
            schedules = await all_of(self._schedules, person.id)
            triggers = await self._triggers.of_person(person.id)
            here = (await self._memory.of_person(person.id)).time_zone
        except StoreUnavailable:
            return _told(NOT_DONE, ok=False)
        if not (schedules or triggers):
            return _told("Nothing is scheduled.")
        now = self._clock()
        told = [_schedule(each, in_words(each.asked, each.next_due_at, now=now, here=here)) for each in schedules]
        lines = ",\n".join(to_json(each).decode() for each in (*told, *map(_trigger, triggers)))
        tainted = [each.asked.tainted for each in schedules] + [each.asked.tainted for each in triggers]
        return ToolResult(f'{{"schedules":[{lines}]}}', own=not any(tainted))


class DeleteScheduleTool(NeedsNoAccount):
    """Ends one of the person's schedules."""

    read_only = False
    asks_first = False
    timeout = 10.0
    schema = ToolSchema(
        "delete_schedule",
        "End a reminder or a scheduled task of the person.",
        {
            "type": "object",
            "properties": {"id": {"type": "string", "description": "Its id, as from list_schedules."}},
            "required": ["id"],
        },
    )

    def __init__(self, schedules: ScheduleStore, clock: Callable[[], float]) -> None:
        self._schedules = schedules
        self._clock = clock

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        wanted = arguments.get("id")
        if not isinstance(wanted, str) or not wanted.strip():
            return _told("Give the id as text. list_schedules lists the ids.", ok=False)
        try:
            gone = await self._schedules.delete(person.id, wanted.strip(), now=self._clock())
        except StoreUnavailable:
            return _told(NOT_DONE, ok=False)
        except NotFound:
            gone = None
        if gone is None:
            return _told(_NO_SUCH, ok=False)
        told = in_words(gone.asked, gone.next_due_at, now=self._clock())
        return _told(f"Deleted. It was: {told}.")

    async def meanings(self, person: Person, arguments: dict[str, Any]) -> dict[str, str]:
        """The request of the schedule."""
        wanted = str(arguments.get("id")).strip()
        return {each.id: each.asked.request for each in await all_of(self._schedules, person.id) if each.id == wanted}


def _schedule(one: Schedule, when: str) -> dict[str, str]:
    return {"id": one.id, "kind": one.asked.kind.value, "title": _beginning(one.asked.request), "when": when}


def _trigger(one: Trigger) -> dict[str, str]:
    when = texts.triggers.whenever(one.asked.name, one.asked.account)
    return {"id": one.id, "kind": "trigger", "title": _beginning(one.asked.request), "when": when}


def _request_id(person: Person, new: NewSchedule) -> str:
    """The key of this call with these arguments: some servers number the calls of each answer from 0."""
    asked = to_json([person.call_id, new.kind.value, new.request, new.time_zone, new.cron, new.at])
    return hashlib.sha256(asked).hexdigest()


# --- arguments --------------------------------------------------------------------------------------------------------


def _read(arguments: dict[str, Any], person: Person, here: str, now: float) -> tuple[NewSchedule, str]:
    """The schedule, and a sentence about its time that the person should know. Raises `_RefusedError`."""
    kind, request = arguments.get("kind"), arguments.get("request")
    if kind not in tuple(ScheduleKind):
        raise _RefusedError("give the kind as remind or do.")
    if not isinstance(request, str) or not request.strip():
        raise _RefusedError("give the request as text.")
    given = [name for name in _WAYS if arguments.get(name) not in (None, "")]
    if len(given) != 1:
        raise _RefusedError("give exactly one of in_minutes (once, soon), at (once) and cron (again and again).")
    [way] = given
    zone = _zone(arguments.get("time_zone"), here, is_needed=way != "in_minutes")
    at, note = None, ""
    if way == "in_minutes":
        at = now + 60 * _minutes(arguments[way])
    elif way == "at":
        at, note = _moment(arguments[way], zone, now)
    elif not isinstance(arguments[way], str):
        raise _RefusedError('give the cron as text of five fields, as "30 8 * * 1-5".')
    cron = " ".join(arguments[way].split()) if way == "cron" else ""
    new = NewSchedule(
        ScheduleKind(kind),
        _visible(request),
        person.channel,
        person.address,
        zone,
        cron=cron,
        at=at,
        tainted=person.tainted,
    )
    return new, note


def _zone(asked: Any, here: str, *, is_needed: bool) -> str:
    if asked not in (None, ""):
        if not isinstance(asked, str) or not (zone := said_zone(asked)):
            raise _RefusedError("that is no time zone. Give the IANA name of the zone of a place, as Europe/Berlin.")
        return zone
    if not here and is_needed:
        raise _RefusedError(
            "the person's time zone is unknown. Ask them in which city they are, keep the answer with remember "
            "(time_zone), and call again."
        )
    return here or "UTC"


def _minutes(given: Any) -> float:
    if type(given) not in (int, float) or not 0 < given <= MOST_MINUTES:
        raise _RefusedError("give in_minutes as a number of minutes from now, such as 90.")
    return float(given)


def _moment(given: Any, zone: str, now: float) -> tuple[float, str]:
    match = _LOCAL.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None:
        raise _RefusedError(_ambiguous(given))
    try:
        local = datetime.fromisoformat(f"{match[1]}T{match[2]}")
        at = moment_of(local, zone)
        moment = datetime.fromtimestamp(at, zone_of(zone))
    except (ValueError, OverflowError):
        raise _RefusedError(f"there is no such date or time. Give at as {_EXAMPLE}.") from None
    if at <= now:
        clock = f"{datetime.fromtimestamp(now, zone_of(zone)):%A, %Y-%m-%d at %H:%M}"
        raise _RefusedError(
            f"that time is past: there it is {clock} now. Ask which day is meant, if that is not clear."
        )
    if moment.replace(tzinfo=None) != local:
        return at, f" {local:%H:%M} does not exist on that day, because the clocks go forward: it is {moment:%H:%M}."
    if moment.utcoffset() != moment.replace(fold=1).utcoffset():
        return at, f" {local:%H:%M} comes twice on that day, because the clocks go back: it is the first."
    return at, ""


def _ambiguous(given: Any) -> str:
    if isinstance(given, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)$", given.strip()):
        return f"give at in local time without an offset or Z, as {_EXAMPLE}; time_zone says where."
    if isinstance(given, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", given.strip()):
        return f"the time of day is missing. Ask for it, and give at as {_EXAMPLE}."
    if isinstance(given, str) and re.fullmatch(r"\d\d?(?::\d\d)?(?: ?[ap]m)?", given.strip(), re.IGNORECASE):
        return f"the day is missing. Give at as {_EXAMPLE}; ask if it is not clear which day is meant."
    return f"give at as a local date and time, as {_EXAMPLE}."


def _is_same(known: NewSchedule, new: NewSchedule) -> bool:
    if (known.kind, known.request, known.cron, known.time_zone) != (new.kind, new.request, new.cron, new.time_zone):
        return False
    if known.at is None or new.at is None:
        return known.at is new.at
    return abs(known.at - new.at) <= SAME_SECONDS


def _visible(request: str) -> str:
    """Its lines, without characters that are no text."""
    return "\n".join("".join(map(_seen, line)) for line in request.split("\n")).strip()


def _seen(character: str) -> str:
    """Other spaces become plain ones; joiners are parts of letters and of pictures."""
    if character.isprintable() or character in "\u200c\u200d":
        return character
    return " " if character.isspace() else ""


def _beginning(request: str) -> str:
    return request if len(request) <= MOST_LISTED_CHARS else f"{request[:MOST_LISTED_CHARS]} …"


def _told(sentence: str, *, ok: bool = True) -> ToolResult:
    return ToolResult(sentence, ok=ok, own=True)

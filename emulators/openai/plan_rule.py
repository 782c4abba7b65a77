"""The rule-based model's part that concerns later: reminders, accounts that it watches, and facts.

It calls create_schedule, list_schedules, delete_schedule, create_trigger, delete_trigger, remember and forget_fact.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from zoneinfo import available_timezones

import orjson

from emulators.openai import requested_times
from emulators.openai.conversation import Conversation
from emulators.openai.turns import ToolCall
from emulators.openai.wire import FunctionCall

_REMIND = re.compile(r"\bremind me\b", re.IGNORECASE)
_EVERY = re.compile(r"^\W*every\b", re.IGNORECASE)
_LEADING = re.compile(r"^\W*(?:(?:(?:can|could|would|will) you|please|to|that|about|of)\b\W*)+", re.IGNORECASE)
_LIST = re.compile(
    r"\bwhat (?:reminders|schedules)\b|\b(?:list|show)(?: me)?(?: all)? my (?:reminders|schedules)\b"
    r"|\bwhat (?:do|will) you remind me\b|\bwhat is (?:scheduled|planned)\b",
    re.IGNORECASE,
)
_DELETE = re.compile(
    r"\b(?:(?:delete|cancel|remove|stop|end)(?P<all> all)?(?: (?:the|my|that|this|of))* (?:reminder|schedule)s?"
    r"|stop reminding me|(?:do not|don['’]t) remind me)\b"
    r"(?: (?:to|about|of|for|that))*\s*(?P<meant>.*?)(?: any ?more)?\W*$",
    re.IGNORECASE,
)
_WATCH = re.compile(
    r"\b(?:tell me|let me know|notify me) (?:when|whenever|if|as soon as|about)\b(?=.*\b(?:e-?)?mail(?:s|ed)?\b)"
    r"(?:.*?\bfrom (?:the |my )?(?P<sender>[\w.@-]+)"
    r"|(?: (?:the|my))? (?P<writer>[\w.@-]+) (?:writes|sends|(?:e-?)?mails|has (?:written|sent|(?:e-?)?mailed))\b)?",
    re.IGNORECASE,
)
_UNWATCH = re.compile(
    r"\b(?:stop|no longer|(?:do not|don['’]t)) (?:tell(?:ing)? me|watch(?:ing)?)\b(?P<meant>.*)", re.IGNORECASE
)
_NO_SUBJECT = re.compile(r"^(?:about|the|my|an?|of|when|from|for|me|any|more|anymore|news|(?:e-?)?mails?)$")
_REMEMBER = re.compile(r"^\W*(?:please )?remember(?: that)?:? +(.+?)\W*$", re.IGNORECASE)
_FORGET = re.compile(r"\bforget that +(.+?)\W*$", re.IGNORECASE)
_PLACE = re.compile(
    r"\bi(?:['’]m| am| live)(?: now)? in +([A-Za-z][A-Za-z ]*?)(?: (?:this|next|until|now|for)\b.*|,.*)?\W*$",
    re.IGNORECASE,
)
_BARE_PLACE = re.compile(r"^\W*(?:in +)?([A-Za-z][A-Za-z ]*?)(?:,.*)?\W*$", re.IGNORECASE)
_SHOWN = re.compile(r'(\d+)[.:] (?:\w+: )?("(?:[^"\\]|\\.)*")')
_KEPT = re.compile(r"is kept, as number (\d+)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_OTHER_ACCOUNT = re.compile(r"^There is no such trigger")
_NEEDS_ZONE = re.compile(r"time zone is unknown")
_TRIGGER = re.compile(r'\["tg_\w+",(?:"(?:[^"\\]|\\.)*",?){2}\]')
_WHERE = "In which city are you? I need your time zone for that."
_WHERE_ELSE = "I do not know that place. Which large city has the same time?"
_WHEN = "When should I remind you? Write, for example, “remind me tomorrow at 9 to call Ada”."

_NEW_MAIL = "GMAIL_NEW_GMAIL_MESSAGE"


_TOOLS = frozenset(
    {
        "create_schedule",
        "list_schedules",
        "delete_schedule",
        "create_trigger",
        "delete_trigger",
        "remember",
        "forget_fact",
    }
)
_IN_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"^Not done yet\. The person is asked", "I need your approval for that."),
        (r"^Set: (.+?) Its id is .*", r"Set. \1"),
        (r"^This is set already: (.+?) Its id is .*", r"That is set already. \1"),
        (r"^Not set: give ", _WHEN),
        (r"time zone is unknown", _WHERE),
        (r"^Not set: that time is past: there it is (.+?) now", r"That is past: it is \1. Which day do you mean?"),
        (r"^Not set: there is no such date or time", "There is no such day or time. When do you mean?"),
        (r"^Not set: (it runs .+?|its runs .+?|it does not run within .+?);", r"I cannot set that: \1."),
        (r"^Nothing is scheduled", "You have no reminders."),
        (r"^Nothing is deleted: .* They have: \[\]", "I watch for nothing."),
        (r"^Nothing is deleted", "I do not watch for that."),
        (r"^Give the numbers of the facts", "I remember nothing like that."),
        (r"^Not set\. (.+)", r"I cannot watch for that: \1"),
        (r"^Set, as tg_", "I will tell you when it arrives. It may take 15 minutes until I see it."),
        (r"^It is set already", "I already watch for that."),
        (r"^tg_\w+ is deleted", "I no longer tell you of that."),
        (r"^The \w+ is (?:kept|known)", "I remember that."),
        (r"time zone is (\S+) from now on", r"Your time zone is \1 now."),
        (r"^Number \d+ is forgotten", "I have forgotten that."),
    )
)


def calls(text: str, conversation: Conversation, offered: Sequence[str]) -> list[ToolCall]:
    """The call for a message about later; none: it is about something else, or the tool is not offered."""
    return [call for call in _wanted(text, conversation) if call.name in offered]


def connecting(text: str, offered: Sequence[str]) -> list[ToolCall]:
    """Connect the account to watch: create_trigger is offered to people who have one."""
    if not _WATCH.search(text) or "create_trigger" in offered or "connect" not in offered:
        return []
    return [ToolCall("connect", {"toolkit": "gmail", "remaining": text})]


def next_calls(conversation: Conversation, offered: Sequence[str]) -> list[ToolCall]:
    """The calls that follow from the latest result: deletions need an id, and reminders a time zone."""
    call, output = conversation.results[-1]
    made = {each.name for each, _ in conversation.results}
    request = "\n".join(conversation.unanswered)
    following: list[ToolCall] = []
    if call.name == "list_schedules" and (meant := _DELETE.search(request)):
        following = [ToolCall(_deletes(each), {"id": each}) for each in _ids(output, meant)]
    elif call.name == "delete_trigger" and "tg_" not in call.arguments:
        following = [ToolCall("delete_trigger", {"id": each}) for each in _triggers(output, request)]
    elif call.name == "create_trigger" and _OTHER_ACCOUNT.search(output):
        following = [ToolCall("connect", {"toolkit": "gmail", "remaining": request})]
    elif call.name == "remember" and "time_zone" in call.arguments:
        following = _waited(conversation)
    return [each for each in following if each.name in offered and each.name not in made - {"delete_trigger"}]


def question(text: str, conversation: Conversation) -> str:
    """The question for a reminder without a time, or after a place that is not known; empty: there is none."""
    if _REMIND.search(text):
        return _WHEN
    return _WHERE_ELSE if conversation.told[-1:] in ([_WHERE], [_WHERE_ELSE]) else ""


def is_lookup(call: FunctionCall, made: Iterable[FunctionCall]) -> bool:
    """Whether it only looked up what other calls of `made` deleted."""
    lists = call.name == "list_schedules" or (call.name == "delete_trigger" and "tg_" not in call.arguments)
    return lists and any(each.name == "delete_schedule" or "tg_" in each.arguments for each in made)


def in_words(call: FunctionCall, output: str, request: str) -> str:
    """The answer of one of these tools as the model passes it on; empty: another tool's."""
    if call.name not in _TOOLS:
        return ""
    if listed := _schedules(output):
        which = ["Which of these do you mean?"] if _DELETE.search(request) else []
        return "\n".join(which + [f"• {each['title']}: {each['when']}" for each in listed])
    return next((match.expand(words) for pattern, words in _IN_WORDS if (match := pattern.search(output))), output)


def _wanted(text: str, conversation: Conversation) -> list[ToolCall]:
    if _LIST.search(text) or _DELETE.search(text):
        return [ToolCall("list_schedules", {})]
    if _UNWATCH.search(text):
        return [ToolCall("delete_trigger", {"id": ""})]
    if watch := _WATCH.search(text):
        sender = watch["sender"] or watch["writer"]
        query = f"from:{sender.lower()}" if sender else ""
        return [ToolCall("create_trigger", {"trigger": _NEW_MAIL, "config": {"query": query}, "request": text})]
    return _scheduled(text, conversation.time) or _remembered(text, conversation)


def _scheduled(text: str, time: str) -> list[ToolCall]:
    """`time`: when the person wrote, in their own zone."""
    reminds = _REMIND.search(text)
    date_ = _DATE.search(time)
    found = requested_times.read(text, date.fromisoformat(date_[0]) if date_ else None)
    if found is None or not (reminds or _EVERY.search(text)):
        return []
    when, rest = found
    request = _LEADING.sub("", _REMIND.sub("", rest)).strip(" ,.:?!") or "this is the reminder that you asked for"
    times: dict[str, Any] = {"in_minutes": when.minutes, "at": when.at, "cron": when.cron}
    given = {name: value for name, value in times.items() if value}
    return [
        ToolCall(
            "create_schedule",
            {"kind": "remind" if reminds else "do", "request": request[0].upper() + request[1:], **given},
        )
    ]


def _remembered(text: str, conversation: Conversation) -> list[ToolCall]:
    if fact := _REMEMBER.search(text):
        return [ToolCall("remember", {"fact": fact[1]})]
    if fact := _FORGET.search(text):
        numbers = [number for number, kept in _known(conversation) if _is_about(kept, fact[1])]
        return [ToolCall("forget_fact", {"numbers": numbers})]
    place = _PLACE.search(text) or (_BARE_PLACE.search(text) if _waited(conversation) else None)
    if place and (zone := _zone(place[1])):
        return [ToolCall("remember", {"time_zone": zone})]
    return []


def _known(conversation: Conversation) -> list[tuple[int, str]]:
    """The facts that the system has shown, and those that were kept since, with their numbers."""
    shown = [(int(number), str(orjson.loads(text))) for number, text in _SHOWN.findall(conversation.recalled)]
    outputs = [(call.arguments, output) for call, output in conversation.made if call.name == "remember"]
    kept = [(int(found[1]), given) for given, output in outputs if (found := _KEPT.search(output))]
    return shown + kept


def _is_about(kept: str, meant: str) -> bool:
    return meant.lower() in kept.lower() or kept.strip().lower() in meant.lower()


def _zone(place: str) -> str:
    """The IANA zone that is named after a place; empty: none is."""
    name = place.strip().lower().removesuffix(" city").replace(" ", "_")
    return min((zone for zone in available_timezones() if zone.lower().rpartition("/")[2] == name), default="")


def _waited(conversation: Conversation) -> list[ToolCall]:
    """The latest reminder that could not be set while the person's time zone was unknown."""
    asked = [(call, output) for call, output in conversation.made if call.name == "create_schedule"]
    if not asked or not _NEEDS_ZONE.search(asked[-1][1]):
        return []
    return [ToolCall("create_schedule", asked[-1][0].arguments)]


def _ids(listed: str, request: re.Match[str]) -> list[str]:
    """The ids that are meant: all but triggers, the one with these words in its title, or the only one."""
    found, meant = _schedules(listed), request["meant"].lower()
    if request["all"]:
        found = [each for each in found if _deletes(str(each["id"])) == "delete_schedule"]
    elif meant or len(found) > 1:
        found = [each for each in found if meant and meant in str(each["title"]).lower()][:1]
    return [str(each["id"]) for each in found]


def _deletes(listed_id: str) -> str:
    return "delete_trigger" if listed_id.startswith("tg_") else "delete_schedule"


def _triggers(listed: str, request: str) -> list[str]:
    """The listed triggers that are meant: those whose request has one of the request's own words, else all."""
    unwatch = _UNWATCH.search(request)
    meant = {word for word in _words(unwatch["meant"] if unwatch else "") if not _NO_SUBJECT.match(word)}
    found = [orjson.loads(each) for each in _TRIGGER.findall(listed)]
    return [of for of, _, request in found if not meant or meant & set(_words(request))]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.@-]*\w", text.lower())


def _schedules(listed: str) -> list[dict[str, Any]]:
    """The answer of list_schedules; empty: it lists none."""
    try:
        found = orjson.loads(listed)["schedules"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []
    return list(found)

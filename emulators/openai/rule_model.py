"""The rule-based "model": handles a few kinds of request, and otherwise answers with a digest of its history."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from emulators.openai import event_rule, help_rule, load_rule, plan_rule
from emulators.openai.conversation import NAME, Conversation
from emulators.openai.own_words import own_words
from emulators.openai.tool_answers import in_words, lacking, not_connected, task_id, toolkit_of
from emulators.openai.turns import Text, ToolCall, Turn
from emulators.openai.wire import FunctionCall

_CONNECT = re.compile(r"\b(?:re)?connect(?: to| with)?(?: my| the)? +([a-z][a-z0-9_]*)", re.IGNORECASE)
_NEW_LINK = re.compile(r"\bnew link\b(?: (?:for|to)(?: my| the)? +([a-z][a-z0-9_]*))?", re.IGNORECASE)
_DISCONNECT = re.compile(r"\bdisconnect(?: my| the)? +([a-z][a-z0-9_]*)", re.IGNORECASE)
_RESUMED = re.compile(r"^\[([A-Za-z][\w ]*) is connected now\.")
_USE = re.compile(r"\b(?:use|call) +([A-Za-z0-9_-]+)(?: +with +(.+))?", re.IGNORECASE)
_REMIND = re.compile(r"\bwhat did i (?:say|write|tell)|\brepeat\b", re.IGNORECASE)
_BOOK = re.compile(r"\bbook (?:us |me )?a table for (\w+)(?: people)?,? (?:at |for |on )?(.+?)\W*$", re.IGNORECASE)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_THE_TASK = r"(?:the )?task:? +[\"“]?([^\"”\n]*[^\"”\n.])"
_WHEN = re.compile(r"\bwhat(?: is|'s|’s)? (?:time|day|the time|the date)\b", re.IGNORECASE)
_RECALL = re.compile(
    r"\bwhat (?:facts )?(?:were|are) you shown about me\b|\bwhat (?:else )?do you (?:know|remember)\b", re.IGNORECASE
)
_INSTRUCTED = re.compile(r"\bwhat(?: are|'re|’re) your instructions\b", re.IGNORECASE)
_WHO = re.compile(r"\bwhat(?: is|'s|’s) my name\b|\bwho am i\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skill:
    """A kind of request that a tool fulfils: the pattern `request` recognises it, and the first matching tool runs."""

    request: re.Pattern[str]
    tool: re.Pattern[str]
    toolkit: str
    arguments: Callable[[re.Match[str]], dict[str, Any]]


def _skill(request: str, tool: str, toolkit: str, arguments: Callable[[re.Match[str]], dict[str, Any]]) -> Skill:
    return Skill(re.compile(request, re.IGNORECASE), re.compile(tool), toolkit, arguments)


_LIST_TASKS = re.compile(r"^ASANA_.*LIST.*TASKS")
SKILLS = (
    _skill(r"\b(?:list|show|what are|see)\b.*\btasks?\b", _LIST_TASKS.pattern, "asana", lambda _: {}),
    _skill(
        r"\b(?:create|add|make|new) (?:an? |the )?(?:new )?(?:asana )?task:? +[\"“]?([^\"”\n]+)",
        r"^ASANA_CREATE.*TASK",
        "asana",
        lambda request: {"name": request[1].strip().rstrip(".")},
    ),
    _skill(
        rf"\b(?:complete|finish|close) {_THE_TASK}",
        r"^ASANA_COMPLETE.*TASK",
        "asana",
        lambda request: {"task_gid": request[1]},
    ),
    _skill(
        rf"\b(?:delete|remove) {_THE_TASK}",
        r"^ASANA_DELETE.*TASK",
        "asana",
        lambda request: {"task_gid": request[1]},
    ),
    _skill(
        r"\bsend (?:an? )?(?:e-?)?mail to +(\S+@\S+?)(?:[:,]? +(?:saying +)?(.+))?$",
        r"^GMAIL_SEND.*EMAIL",
        "gmail",
        lambda request: {"recipient_email": request[1], "subject": "Hello", "body": request[2] or "Hello"},
    ),
    _skill(
        r"\bforward (?:this|it)(?: mail)? to +([\w.+-]+@[\w-]+(?:\.[\w-]+)+)",
        r"^GMAIL_SEND.*EMAIL",
        "gmail",
        lambda request: {"recipient_email": request[1], "subject": "Fwd", "body": "Forwarded."},
    ),
    _skill(
        r"\b(?:my|list|show|read|new) (?:my |new |unread )*(?:e-?)?mails?\b|\bmy inbox\b",
        r"^GMAIL_FETCH.*EMAILS",
        "gmail",
        lambda _: {"max_results": 5},
    ),
)


def answer(conversation: Conversation, tools: Iterable[str]) -> Turn:
    """The next turn, from the unanswered messages and the names of the offered tools."""
    if conversation.notes_wanted:
        return [Text(conversation.own_notes())]
    offered = list(tools)
    under_load = load_rule.answer(conversation, offered)
    if under_load is not None:
        return under_load
    if conversation.results:
        return _after_tools(conversation, offered)
    resumed = _resumed(conversation, offered)
    if resumed is not None:
        return resumed
    if calls := _requested(conversation, offered):
        return list(calls)
    return [Text(_events(conversation) or _instructions(conversation) or _reply(conversation, offered))]


def _requested(conversation: Conversation, offered: list[str]) -> list[ToolCall]:
    """The first calls for the unanswered messages."""
    return [
        call
        for text in map(event_rule.requests_in, conversation.unanswered)
        for call in plan_rule.calls(text, conversation, offered)
        or plan_rule.connecting(text, offered)
        or _new_link(text, conversation, offered)
        or _calls(text, offered)
    ]


def _events(conversation: Conversation) -> str:
    """The events in the person's accounts; empty: none."""
    return "\n".join(filter(None, map(event_rule.told, conversation.unanswered)))


def _instructions(conversation: Conversation) -> str:
    """The last paragraph of the instructions, if the person asks for them; otherwise empty."""
    if not any(map(_INSTRUCTED.search, conversation.unanswered)):
        return ""
    _, _, last = conversation.instructions.rpartition("\n\n")
    return f"My instructions end with: “{last}”"


def _new_link(text: str, conversation: Conversation, offered: list[str]) -> list[ToolCall]:
    """A new link for the named toolkit, else for the toolkit of the latest connection request."""
    request = _NEW_LINK.search(text)
    if request is None or "connect" not in offered:
        return []
    earlier = [toolkit_of(call) for call, _ in conversation.made if call.name == "connect"]
    toolkits = [request[1].lower()] if request[1] else earlier[-1:]
    return [ToolCall("connect", {"toolkit": each, "remaining": "", "new_link": True}) for each in toolkits]


def _calls(text: str, offered: list[str], listed: str = "") -> list[ToolCall]:
    """The calls for a message: a tool by name, a connection, a skill's tool, or the search for that tool."""
    if own := _own_tool(text, offered):
        return [own]
    disconnect = _DISCONNECT.search(text)
    if disconnect and "disconnect" in offered:
        return [ToolCall("disconnect", {"toolkit": disconnect[1].lower()})]
    connect = _CONNECT.search(text)
    if connect and "connect" in offered:
        return [ToolCall("connect", {"toolkit": connect[1].lower(), "remaining": ""})]
    found = [(skill, request) for skill in SKILLS if (request := skill.request.search(text))]
    if not found:
        return []
    skill, request = found[0]
    tool = next((name for name in offered if skill.tool.search(name)), None)
    if tool is not None:
        return [_by_id(ToolCall(tool, skill.arguments(request)), offered, listed)]
    return _towards(skill, text, offered)


def _own_tool(text: str, offered: list[str]) -> ToolCall | None:
    """A tool by name, or the own tool of the demo."""
    used = _USE.search(text)
    if used and used[1] in offered:
        return ToolCall(used[1], used[2] or "{}")
    booked = _BOOK.search(text)
    if booked is None or "book_table" not in offered:
        return None
    people = _NUMBERS.get(booked[1].lower(), booked[1])
    return ToolCall("book_table", {"people": int(people) if str(people).isdecimal() else people, "at": booked[2]})


def _by_id(call: ToolCall, offered: list[str], listed: str) -> ToolCall:
    """Look up the id of a task that is given by name. `listed` is the output of that lookup."""
    name = call.arguments.get("task_gid", "") if isinstance(call.arguments, dict) else ""
    listing = next(filter(_LIST_TASKS.search, offered), None)
    if not name or name.isdigit() or listing is None:
        return call
    return ToolCall(call.name, {"task_gid": task_id(listed, name) or name}) if listed else ToolCall(listing, {})


def _towards(skill: Skill, request: str, offered: list[str]) -> list[ToolCall]:
    if "search_tools" in offered:
        return [ToolCall("search_tools", {"query": skill.tool.pattern.strip("^").replace(".*", " ").lower()})]
    if "connect" in offered:
        return [ToolCall("connect", {"toolkit": skill.toolkit, "remaining": request})]
    return []


def _resumed(conversation: Conversation, offered: list[str]) -> Turn | None:
    """Resume after a connection.

    The waiting request is before or after the line "[Asana is connected now. …". Otherwise the system's notes name it.
    """
    told = conversation.unanswered[-1] if conversation.unanswered else ""
    match = _RESUMED.match(told)
    if match is None:
        return None
    noted = [line for text in conversation.told[-1:] for line in text.partition("is connected: ")[2].splitlines()]
    below = [line.removeprefix("- ") for line in told.splitlines()[1:]]
    waited = conversation.unanswered[:-1] or below or noted
    calls = [
        call
        for request in waited
        for call in plan_rule.calls(request, conversation, offered) or _calls(request, offered)
    ]
    return list(calls) or [Text(f"{match[1]} is connected now. What would you like to do?")]


def _after_tools(conversation: Conversation, offered: list[str]) -> Turn:
    """Continue the request with newly found tools, connect an unconnected toolkit, or report the results."""
    call, output = conversation.results[-1]
    tried = [made.name for made, _ in conversation.results]
    if "connect" in offered and "connect" not in tried and (calls := _reconnecting(conversation)):
        return list(calls)
    if calls := plan_rule.next_calls(conversation, offered):
        return list(calls)
    if call.name == "search_tools" and (calls := _found(conversation, set(offered) - set(tried))):
        return list(calls)
    if _LIST_TASKS.search(call.name) and (calls := _with(conversation, offered, output, call.name)):
        return list(calls)
    looked_up = "task_gid" in call.arguments
    told = [
        plan_rule.in_words(made, said, "\n".join(conversation.unanswered)) or in_words(made, said)
        for made, said in conversation.results
        if made.name != "search_tools"
        and not plan_rule.is_lookup(made, [call for call, _ in conversation.results])
        and not ("connect" in tried and not_connected(said))
        and not (looked_up and _LIST_TASKS.search(made.name))
    ]
    if len(conversation.unanswered) > 1:
        told += [words for text in conversation.unanswered if (words := _from_memory(text, conversation))]
    words = "\n".join(dict.fromkeys(told)) or "I found no tool for that."
    return [Text("\n".join(filter(None, (_events(conversation), words))))]


def _reconnecting(conversation: Conversation) -> list[ToolCall]:
    """Connect each toolkit of which a tool says that it is not connected. The requests wait for it."""
    failed = [(call, output) for call, output in conversation.results if not_connected(output)]
    lost = [_toolkit(call, output) for call, output in failed if call.name != "disconnect"]
    waiting = "\n".join(conversation.unanswered)
    return [ToolCall("connect", {"toolkit": each, "remaining": waiting}) for each in dict.fromkeys(lost) if each]


def _toolkit(call: FunctionCall, output: str) -> str:
    """The one that the answer names, otherwise that of the skill; empty: unknown."""
    return lacking(output) or next((skill.toolkit for skill in SKILLS if skill.tool.search(call.name)), "")


def _with(conversation: Conversation, offered: list[str], listed: str, listing: str) -> list[ToolCall]:
    """The calls that needed the list."""
    calls = [call for text in conversation.unanswered for call in _calls(text, offered, listed)]
    return [call for call in calls if call.name != listing and "task_gid" in call.arguments]


def _found(conversation: Conversation, offered: set[str]) -> list[ToolCall]:
    """The calls for the unanswered messages, else for the latest request."""
    calls = [call for text in conversation.unanswered for call in _calls(event_rule.requests_in(text), sorted(offered))]
    earlier = (_calls(text, sorted(offered)) for text in reversed(conversation.said))
    return calls or next(filter(None, earlier), [])


def _reply(conversation: Conversation, offered: list[str]) -> str:
    """A reply that depends on this history and the offered tools only."""
    said = conversation.said
    text = "\n".join(conversation.unanswered) or (said[-1] if said else "")
    return (
        plan_rule.question(text, conversation) or _from_memory(text, conversation) or _echo(text, conversation, offered)
    )


def _from_memory(text: str, conversation: Conversation) -> str:
    """The answer to a question about the person or the chat; empty: it is none."""
    return _about_the_person(text, conversation) or _about_the_chat(text, conversation)


def _about_the_person(text: str, conversation: Conversation) -> str:
    if _WHO.search(text):
        own = own_words(conversation.said)
        names = [match[1].strip() for earlier in own if (match := NAME.search(earlier))]
        return f"Your name is {names[-1]}." if names else "You have not told me your name."
    if _RECALL.search(text):
        return f"I was shown: {conversation.recalled}" if conversation.recalled else "I was shown nothing about you."
    return ""


def _about_the_chat(text: str, conversation: Conversation) -> str:
    if _REMIND.search(text):
        earlier = own_words(conversation.said[: len(conversation.said) - max(conversation.new, 1)])
        quoted = " ".join(f"{number}. “{words}”" for number, words in enumerate(earlier, 1))
        return f"You said: {quoted}" if quoted else "This is the first thing you have written to me."
    if _WHEN.search(text):
        return f"You wrote on {conversation.time}." if conversation.time else "I do not know the time."
    return ""


def _echo(text: str, conversation: Conversation, offered: list[str]) -> str:
    """The text and its place in the history, with help where it is wanted. Digests differ between histories."""
    if help_rule.is_help(text):
        return help_rule.told(offered)
    heard = f"You said: “{text}” (message {conversation.count} of our chat, history {conversation.digest[:8]})"
    if help_rule.is_greeting(text):
        return f"Hello!\n{help_rule.told(offered)}\n\n{heard}"
    if name := NAME.search(text):
        return f"Nice to meet you, {name[1].strip()}. {heard}"
    return f"{heard}\n{help_rule.HINT}"

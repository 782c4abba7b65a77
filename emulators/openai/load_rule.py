"""Answers load-test messages. Each message has a token, and its answer repeats it, so that a log pairs the two.

`load p7m12` is message 12 of person p7. The answer names it, with the tokens of all other unanswered messages.
`load long p7m12` is answered by a text that needs three messages.
`load task p7m12` creates a task of that name first, as a careful model does it: if the outcome of a call is unknown, it
lists the tasks before it creates the task again.
`load need p7m12` is the same for a person who may have to connect their account first. It is answered afterwards.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from emulators.openai.conversation import Conversation
from emulators.openai.tool_answers import things
from emulators.openai.turns import Text, ToolCall, Turn

TOKEN = re.compile(r"\b(p\d+)m\d+\b")

_WISH = re.compile(rf"load (?:(?P<kind>task|long|need) )?(?P<token>{TOKEN.pattern})")
_CREATE = re.compile(r"^ASANA_CREATE.*TASK")
_LIST = re.compile(r"^ASANA_.*LIST.*TASKS")
_MOST_LISTED = 100
_PARAGRAPHS = 9
_PARAGRAPH = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """`kind` is task, long, need, or empty."""

    token: str
    kind: str = ""


def read(text: str) -> Request | None:
    """The request in a load-test message; None for any other message."""
    found = _WISH.fullmatch(text)
    return Request(found["token"], found["kind"] or "") if found else None


def people(conversation: Conversation) -> list[str]:
    """The people whose tokens a request's history contains. More than one means that histories were mixed."""
    heard = (*conversation.said, *(output for _, output in conversation.made))
    return sorted({match[1] for text in heard for match in TOKEN.finditer(text)})


def answer(conversation: Conversation, offered: list[str]) -> Turn | None:
    """The next turn; None if no unanswered message is a load-test message."""
    # The requests that resume after a connection are lines below a sentence.
    lines = [line.removeprefix("- ") for text in conversation.unanswered for line in text.splitlines()]
    requests = [request for line in lines if (request := read(line))]
    if not requests:
        return None
    tools = _Tools.among(offered)
    if tools is not None:
        making = [request.token for request in requests if request.kind in {"task", "need"}]
        steps = [step for token in making if (step := tools.step(conversation, token))]
        if steps:
            return list(dict.fromkeys(steps))
    needed = [request.token for request in requests if request.kind == "need"]
    if tools is None and needed and "connect" in offered:
        return _connect(conversation, needed)
    return [Text(_told(requests))]


def _connect(conversation: Conversation, needed: list[str]) -> Turn:
    if conversation.results:
        return [Text("Please connect Asana with the button.")]
    remaining = "\n".join(f"load need {token}" for token in needed)
    return [ToolCall("connect", {"toolkit": "asana", "remaining": remaining})]


@dataclass(frozen=True, slots=True)
class _Tools:
    create: str
    list: str

    @classmethod
    def among(cls, offered: Iterable[str]) -> "_Tools | None":
        names = list(offered)
        create = next(filter(_CREATE.search, names), None)
        listing = next(filter(_LIST.search, names), None)
        return cls(create, listing) if create and listing else None

    def step(self, conversation: Conversation, name: str) -> ToolCall | None:
        """The next call for a task of that name; None if the task exists."""
        unsure = False
        for call, output in conversation.made:
            there = name in things(output)
            if call.name == self.create and f'"{name}"' in call.arguments:
                if there:
                    return None
                unsure = True
            elif call.name == self.list and unsure and things(output):
                if there:
                    return None
                unsure = False
        return ToolCall(self.list, _ARGUMENTS_OF_LIST) if unsure else ToolCall(self.create, _arguments(name))


_ARGUMENTS_OF_LIST = orjson.dumps({"limit": _MOST_LISTED}).decode()


def _arguments(name: str) -> str:
    return orjson.dumps({"name": name}).decode()


def _told(requests: list[Request]) -> str:
    told = f"Answer to {', '.join(dict.fromkeys(request.token for request in requests))}."
    if any(request.kind == "long" for request in requests):
        return "\n\n".join([told, *(_paragraph(requests[0], number) for number in range(1, _PARAGRAPHS + 1))])
    return told


def _paragraph(request: Request, number: int) -> str:
    return f"Paragraph {number} for {request.token}: ".ljust(_PARAGRAPH, "a")

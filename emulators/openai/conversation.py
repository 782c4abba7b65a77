"""What the rule-based model sees of a request: who said what, and what the tools answered since."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulators.openai.files import SeenFile
from emulators.openai.wire import (
    CompactionItem,
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputMessage,
    InputText,
    Item,
    OutputMessage,
    OutputText,
)

_TIME = re.compile(
    r"\n?\[Sent on ([A-Z][a-z]+day, \d{4}-\d\d-\d\d at \d\d:\d\d[^;\]\n]*)(?:; you get it on [^\]\n]*)?\]"
)


@dataclass(slots=True)
class Conversation:
    """said: all that the person said, oldest first; the last `new` of these are not answered yet. told: the model's own
    words, oldest first.

    notes: what the system told the model since the last answer. results: the calls made for the unanswered
    messages, with their outputs; made: those of the whole conversation. time: when the newest message was sent, as the
    system tells it.
    """

    said: list[str] = field(default_factory=list)
    new: int = 0
    told: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    results: list[tuple[FunctionCall, str]] = field(default_factory=list)
    made: list[tuple[FunctionCall, str]] = field(default_factory=list)
    time: str = ""

    @property
    def unanswered(self) -> list[str]:
        return self.said[len(self.said) - self.new :]


def read(
    items: list[Item], unsealed: Mapping[str, dict[str, Any]], files: Mapping[int, SeenFile] | None = None
) -> Conversation:
    """unsealed: by encrypted content, what it holds; a compaction holds what was said before it.

    files: by the identity of its part, each file that is shown.
    """
    conversation = Conversation()
    calls: dict[str, FunctionCall] = {}
    for item in items:
        if isinstance(item, InputMessage):
            text = plain_text(item.content, files)
            if item.role == "user":
                text, conversation.time = _without_time(text, conversation.time)
                conversation.said.append(text)
                conversation.new += 1
            else:
                conversation.notes.append(text)
            conversation.results.clear()
        elif isinstance(item, OutputMessage):
            conversation.new = 0
            conversation.told.append(plain_text(item.content))
            conversation.notes.clear()
            conversation.results.clear()
        elif isinstance(item, CompactionItem):
            said = unsealed[item.encrypted_content].get("said")
            if said is not None:
                conversation = Conversation(said=list(said))
        elif isinstance(item, FunctionCall):
            calls[item.call_id] = item
        elif isinstance(item, FunctionCallOutput):
            conversation.results.append((calls[item.call_id], plain_text(item.output)))
            conversation.made.append(conversation.results[-1])
    return conversation


def _without_time(text: str, earlier: str) -> tuple[str, str]:
    """What was said, and when; not said: as before."""
    found = _TIME.search(text)
    return (text[: found.start()] + text[found.end() :], found[1]) if found else (text, earlier)


def plain_text(content: object, files: Mapping[int, SeenFile] | None = None) -> str:
    """Text of a message's content; what is no text is told in brackets."""
    if isinstance(content, str):
        return content
    parts = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, InputText | OutputText):
            parts.append(part.text)
        elif isinstance(part, InputImage | InputFile) and files and id(part) in files:
            parts.append(files[id(part)].in_words())
    return "\n".join(parts)

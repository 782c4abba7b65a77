"""The rule-based model's view of a request: the messages of each side, and the answers of the tools."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

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

_NOTES_WANTED = re.compile(
    r"\[No message of the person: your context is nearly full\..* At most (\d+) words", re.DOTALL
)
_NOTES = re.compile(r"\[Earlier messages are left out here\.[^\]]*\]\n(\{.*\})", re.DOTALL)
_RECALLED = re.compile(r"\[What you remember about the person: (.*)\]")


NAME = re.compile(r"\bmy name is +([^.,!?\n]+)", re.IGNORECASE)
KEPT = 20
"""The newest messages that a compaction keeps."""
KEPT_CHARS = 200


@dataclass(slots=True)
class Conversation:
    """A conversation, oldest first.

    `said` holds the person's messages; the last `new` of these are not answered yet. A compaction keeps few of them:
    `count` and `digest` are of all that they said. `told` holds the model's texts.
    `notes` holds the system's texts to the model since the last answer. `results` holds the calls made for the
    unanswered messages, with their outputs; `made` those of the whole conversation. `time` is when the newest message
    was sent, as the system states it. `notes_wanted` is the number of words that the system wants of notes that replace
    the conversation; 0: it wants none. `recalled` is what the system remembers about the person. `instructions` are
    those of the request.
    """

    said: list[str] = field(default_factory=list)
    new: int = 0
    told: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    results: list[tuple[FunctionCall, str]] = field(default_factory=list)
    made: list[tuple[FunctionCall, str]] = field(default_factory=list)
    time: str = ""
    recalled: str = ""
    count: int = 0
    digest: str = ""
    notes_wanted: int = 0
    instructions: str = ""

    def hear(self, text: str) -> None:
        self.said.append(text)
        self.new += 1
        self.count += 1
        self.digest = hashlib.sha256(f"{self.digest}\n{text}".encode()).hexdigest()

    @property
    def carried(self) -> dict[str, Any]:
        """The content of a compaction. It does not grow with the conversation, as at the vendor."""
        old, recent = self.said[:-KEPT], self.said[-KEPT:]
        named = [text for text in old if NAME.search(text)][-1:]
        return {"said": [text[:KEPT_CHARS] for text in (*named, *recent)], "count": self.count, "digest": self.digest}

    def own_notes(self) -> str:
        """The content of a compaction, with so few of the messages that it is as short as wanted."""
        carried = self.carried
        said = carried["said"]
        while len(said) > 1 and _words(orjson.dumps(carried).decode()) > self.notes_wanted:
            del said[0 if not NAME.search(said[0]) else 1]
        return orjson.dumps(carried).decode()

    @property
    def unanswered(self) -> list[str]:
        return self.said[len(self.said) - self.new :]


def _words(text: str) -> int:
    """The words of six letters that cost as much. A letter that is not ASCII costs as much as three."""
    return sum(1 if letter.isascii() else 3 for letter in text) // 6


def read(
    items: list[Item], unsealed: Mapping[str, dict[str, Any]], files: Mapping[int, SeenFile] | None = None
) -> Conversation:
    """`unsealed` maps encrypted content to its plain content; that of a compaction holds the earlier messages.

    `files` maps the `id()` of a part to its file.
    """
    conversation = Conversation()
    calls: dict[str, FunctionCall] = {}
    for item in items:
        if isinstance(item, InputMessage):
            text = plain_text(item.content, files)
            if item.role == "user" and (notes := _NOTES.fullmatch(text)):
                conversation = _noted(notes[1])
            elif item.role == "user":
                _hear(conversation, text)
            else:
                conversation.notes.append(text)
                conversation.results.clear()
        elif isinstance(item, OutputMessage):
            conversation.new = 0
            conversation.told.append(plain_text(item.content))
            conversation.notes.clear()
            conversation.results.clear()
        elif isinstance(item, CompactionItem):
            if (carried := unsealed[item.encrypted_content].get("carried")) is not None:
                conversation = Conversation(**carried)
        elif isinstance(item, FunctionCall):
            calls[item.call_id] = item
        elif isinstance(item, FunctionCallOutput):
            conversation.results.append((calls[item.call_id], plain_text(item.output)))
            conversation.made.append(conversation.results[-1])
    return conversation


def _noted(notes: str) -> Conversation:
    """The conversation in the notes; an empty one if the system has cut them."""
    try:
        return Conversation(**orjson.loads(notes))
    except orjson.JSONDecodeError:
        return Conversation()


def _hear(conversation: Conversation, text: str) -> None:
    """A message of the person, or one that the system wrote instead."""
    if wanted := _NOTES_WANTED.match(text):
        conversation.notes_wanted = int(wanted[1])
    elif recalled := _RECALLED.fullmatch(text):
        conversation.recalled = recalled[1]
    else:
        text, conversation.time = _without_time(text, conversation.time)
        conversation.hear(text)
        conversation.results.clear()


def _without_time(text: str, earlier: str) -> tuple[str, str]:
    """The text without its time, and the time; without a time, the earlier one."""
    found = _TIME.search(text)
    return (text[: found.start()] + text[found.end() :], found[1]) if found else (text, earlier)


def plain_text(content: object, files: Mapping[int, SeenFile] | None = None) -> str:
    """The text of a message's content, with other parts described in brackets."""
    if isinstance(content, str):
        return content
    parts = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, InputText | OutputText):
            parts.append(part.text)
        elif isinstance(part, InputImage | InputFile) and files and id(part) in files:
            parts.append(files[id(part)].in_words())
    return "\n".join(parts)

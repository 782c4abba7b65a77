"""The rules of language.toml, and the places where a passage breaks them."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.passage import Passage

FILE = Path(__file__).parent / "language.toml"
WORD = re.compile(r"\w+(?:['’]\w+)?")
SENTENCE_END = re.compile(r"[.!?]\**(?= \**[A-Z·])")
MARKS = " \n-*"
EXCLAMATION = re.compile(r"\w!(?=\s|$)")


@dataclass(frozen=True)
class Phrase:
    """A phrase that begins with a certain word. `opens`: it counts at the beginning of a statement only."""

    pattern: re.Pattern[str]
    instead: str
    opens: bool
    kinds: tuple[str, ...]


class Rules:
    def __init__(self, rules: dict[str, Any]) -> None:
        self._by_word: dict[str, list[Phrase]] = {}
        self._sentence_words: int = rules["sentence"]["words"]
        for rule in rules["rule"]:
            self._add(rule)

    @classmethod
    def read(cls) -> "Rules":
        return cls(tomllib.loads(FILE.read_text()))

    def broken_by(self, passage: Passage) -> Iterator[tuple[int, str, str]]:
        """Each finding as its offset in the text, the words found, and what to write instead."""
        starts = _statements(passage.text)
        end = 0
        for word in WORD.finditer(passage.text):
            if word.start() < end:
                continue
            for phrase in self._by_word.get(word[0].lower(), ()):
                found = phrase.pattern.match(passage.text, word.start())
                if found and passage.kind in phrase.kinds and (not phrase.opens or word.start() in starts):
                    yield word.start(), found[0], phrase.instead
                    end = found.end()
                    break
        yield from self._long_sentences(passage)
        if passage.kind == "message":
            for mark in EXCLAMATION.finditer(passage.text):
                yield mark.start(), "!", "end the sentence with a period"

    def _add(self, rule: dict[str, Any]) -> None:
        kinds = tuple(rule.get("kinds", Passage.KINDS))
        for words in rule["words"]:
            pattern = re.compile(rf"{words}(?!\w)", re.IGNORECASE)
            first = WORD.match(words)
            if first is None or not set(kinds) <= set(Passage.KINDS):
                raise ValueError(f"checks/language.toml: {words!r} needs a plain first word and known kinds")
            phrase = Phrase(pattern, rule["instead"], rule.get("opens", False), kinds)
            self._by_word.setdefault(first[0].lower(), []).append(phrase)

    def _long_sentences(self, passage: Passage) -> Iterator[tuple[int, str, str]]:
        start = 0
        for end in [*(match.end() for match in SENTENCE_END.finditer(passage.text)), len(passage.text)]:
            words = len(WORD.findall(passage.text, start, end))
            if words > self._sentence_words:
                yield start, f"a sentence of {words} words", f"at most {self._sentence_words}: one idea per sentence"
            start = end


def _statements(text: str) -> set[int]:
    """The offsets at which sentences begin that are not questions."""
    starts, start = set(), 0
    for end in [*(match.end() for match in SENTENCE_END.finditer(text)), len(text)]:
        if not text[start:end].rstrip().endswith("?"):
            starts.add(start + len(text[start:end]) - len(text[start:end].lstrip(MARKS)))
        start = end
    return starts

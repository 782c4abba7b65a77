"""The sender of a message: which ids are refused, and to which person the ids of one message belong.

A strong id belongs to one person permanently; a weak one (a phone number) may be given to another person. So a weak id
finds only a person who has no strong id, and only until it expires (ports/weak_ids.py); it follows its current owner.
An id that is given or kept as weak is weak.

A message may carry only a weak id, of a person who also has a strong one. It then starts a new person, who takes over
the weak id. The same holds for a number after a long silence. The sender may be the same human, who was away or whose
network left out the strong id this time, or a stranger who got the number. The same human only gets a fresh start,
which an operator can undo (MergePersons). The stranger must see nothing of the earlier owner, and use none of their
accounts. linking.py handles a channel's notice that an id became another.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service.errors import CallerError, Conflict, NotAllowed
from kernel_service.ports.messages import Alias

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 200
RESERVED = frozenset({"", "default", "default_user"})
CHANNEL = re.compile(r"[a-z0-9_-]+")
# Control, invisible format and surrogate characters, line and paragraph separators.
BARRED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_user_id(user_id: str, channel: str) -> None:
    """Refuse an id that is malformed, shared by everyone, or not of the caller's `channel`.

    CallerError USER_ID_RESERVED or USER_ID_INVALID, NotAllowed CHANNEL_MISMATCH.
    """
    prefix, colon, own = user_id.partition(":")
    if (own if colon else user_id).casefold() in RESERVED:
        raise CallerError(
            "USER_ID_RESERVED",
            "an empty id, `default` and `default_user` identify no person: send the person's own id",
            field="user_id",
        )
    if not CHANNEL.fullmatch(prefix) or not colon:
        raise _invalid("must be `<channel>:<id>`, the channel of a-z, 0-9, `_` and `-`")
    if len(user_id.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _invalid(f"must be at most {MAX_BYTES} bytes of UTF-8")
    if own != own.strip():
        raise _invalid("must not begin or end with white space")
    # Of ASCII only the control characters are refused.
    if "," in own or not (own.isprintable() if own.isascii() else _is_allowed(own)):
        raise _invalid("must not hold a comma, control character or invisible character")
    if prefix != channel:
        raise NotAllowed("CHANNEL_MISMATCH", "the token is valid for the users of one channel only")


def _is_allowed(own: str) -> bool:
    return all(unicodedata.category(character) not in BARRED for character in own)


def _invalid(rule: str) -> CallerError:
    return CallerError("USER_ID_INVALID", f"the user id {rule}", field="user_id")


def given_ids(user_id: str, aliases: Iterable[Alias]) -> list[Alias]:
    """The ids of one message, each once; `user_id` is strong and of no scope unless the aliases name it."""
    ids: dict[tuple[str, str], Alias] = {}
    is_listed = False
    for alias in aliases:
        is_listed = is_listed or alias.user_id == user_id
        place = alias.scope, alias.user_id
        if place not in ids or not alias.strong:
            ids[place] = alias
    return list(ids.values()) if is_listed else [Alias(user_id), *ids.values()]


def key(alias: Alias) -> tuple[str, str]:
    """The key that is unique among the aliases of all people."""
    return alias.scope, alias.user_id


@dataclass(frozen=True, slots=True)
class FoundAlias:
    """A given id that already names a person, as it is kept.

    `person_has_strong`: that person has a strong id besides this one, in whatever scope, or has changed this weak
    one for another. `silent`: no message came from it for too long. `notes_use`: the time of its next message is
    stored.
    """

    alias: Alias
    person_id: str
    person_has_strong: bool
    silent: bool = False
    notes_use: bool = False

    @property
    def finds_while_weak(self) -> bool:
        """Whether it finds the person although another person may have it now."""
        return not (self.person_has_strong or self.silent)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The sender of a message (None: a new person); ids to keep for them, and weak ids to take from others.

    `used`: weak ids that found them, with a use that is to be stored.
    """

    person_id: str | None
    attach: tuple[Alias, ...] = ()
    move: tuple[Alias, ...] = ()
    used: tuple[Alias, ...] = ()


def resolve(found: Iterable[FoundAlias], given: Iterable[Alias]) -> Resolution:
    """Decide to whom the `given` ids belong; `found` are those of them that already name a person.

    Conflict IDENTITY_CONFLICT: two strong ids name different people.
    """
    known = {(one.alias.scope, one.alias.user_id): one for one in found}
    strong: list[FoundAlias] = []
    weak: list[FoundAlias] = []
    unknown: list[Alias] = []
    for alias in given:
        one = known.get((alias.scope, alias.user_id))
        if one is None:
            unknown.append(alias)
        elif alias.strong and one.alias.strong:
            strong.append(one)
        else:
            weak.append(one)
    person_id = _person(strong, weak)
    # A person known by weak ids alone keeps those in use: taking one could leave them without any.
    move: list[Alias] = []
    used: list[Alias] = []
    for one in weak:
        if one.person_id != person_id:
            if not one.finds_while_weak:
                move.append(replace(one.alias, strong=False))
        elif one.notes_use:
            used.append(one.alias)
    return Resolution(person_id, tuple(unknown), tuple(move), tuple(used))


def named_alone(found: Iterable[FoundAlias]) -> str | None:
    """The person named by an id alone, without strength or scope; `found` are the forms in which it is kept.

    As in a message, a weak id does not find every person. Conflict IDENTITY_CONFLICT: in two scopes it is two people's.
    """
    kept = list(found)
    strong = {one.person_id for one in kept if one.alias.strong}
    people = strong or {one.person_id for one in kept if one.finds_while_weak}
    if len(people) > 1:
        raise Conflict("IDENTITY_CONFLICT", "the id belongs to different people in different scopes")
    return next(iter(people), None)


def _person(strong: list[FoundAlias], weak: list[FoundAlias]) -> str | None:
    people = {one.person_id for one in strong}
    if len(people) > 1:
        raise Conflict("IDENTITY_CONFLICT", "the ids belong to different people; an operator must decide")
    if people:
        return people.pop()
    return next((one.person_id for one in weak if one.finds_while_weak), None)

"""The rules for a channel's notice that an id of a person was replaced by another.

As with messages (identity.py), a weak id given alone never finds a person who has a strong one, or any person after a
long silence. A number may have a new owner before the notice of its change arrives. If the notice were applied, the new
owner would get the accounts and conversations of the former one. So a person with a strong id, whose change is reported
by their number alone, starts again as a new person until an operator merges the two. A weak id also never replaces a
strong one: messages for the person would go to the number's next owner.

Notices overtake each other. A notice between strong ids is kept if its previous id belongs to no person yet. It is
applied once another notice identifies the owner of that id: "A became B", received after "B became C", leads to C. This
does not apply to weak ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.ports.people import LinkOutcome

if TYPE_CHECKING:
    from kernel_service.people.identity import FoundAlias
    from kernel_service.ports.messages import Alias


@dataclass(frozen=True, slots=True)
class Claim:
    """The new id must identify `person_id` (None: no person, see the module). `other_id` has an equal claim to it."""

    person_id: str | None
    other_id: str | None = None


@dataclass(frozen=True, slots=True)
class MergeCandidate:
    """A person as a merging sees them. `connected`: the vendor holds an account that they have authorised."""

    person_id: str
    created_at: float
    connected: bool


def claim(
    previous: Alias, current: Alias, *, previous_found: FoundAlias | None, current_found: FoundAlias | None
) -> Claim:
    """The person that the new id must identify, given the person that each of the two ids identifies so far."""
    if is_strong(previous, previous_found) and not is_strong(current, current_found):
        return Claim(None)
    person_id = _named(previous, previous_found)
    other_id = _named(current, current_found)
    return Claim(person_id, other_id if person_id and other_id != person_id else None)


def _named(given: Alias, found: FoundAlias | None) -> str | None:
    if found is None:
        return None
    return found.person_id if is_strong(given, found) or found.finds_while_weak else None


def is_strong(given: Alias, found: FoundAlias | None) -> bool:
    """An id that is given or kept as weak is weak.

    A weak id that was replaced belongs to no person afterwards, whatever the outcome. Its next owner must not receive
    messages meant for the former one, and must not be mistaken for them when the same notice comes again.
    """
    return given.strong and (found is None or found.alias.strong)


def may_precede_another(
    previous: Alias, current: Alias, *, previous_found: FoundAlias | None, current_found: FoundAlias | None
) -> bool:
    """Whether a notice that arrives later may identify the person of this one."""
    return previous_found is None and previous.strong and is_strong(current, current_found)


def settled(outcome: LinkOutcome) -> bool:
    """Whether the new id has replaced the previous one."""
    return outcome in (LinkOutcome.LINKED, LinkOutcome.MERGED)


def outcome_of_repeat(outcome: LinkOutcome) -> LinkOutcome:
    """The outcome of the same change when it is reported again."""
    return LinkOutcome.LINKED if settled(outcome) else outcome


def older_first(one: MergeCandidate, other: MergeCandidate) -> tuple[MergeCandidate, MergeCandidate]:
    """The remaining person, and the one who is merged into them."""
    first, second = sorted((one, other), key=lambda standing: (standing.created_at, standing.person_id))
    return first, second


def may_merge(one: MergeCandidate, other: MergeCandidate) -> bool:
    """Whether a channel's notice is enough to merge them. It is not if both have connected accounts."""
    return not (one.connected and other.connected)

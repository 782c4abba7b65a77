from __future__ import annotations

import pytest

from kernel_service.people.identity import FoundAlias
from kernel_service.people.linking import Claim, MergeCandidate, claim, is_strong, may_merge, older_first
from kernel_service.ports.messages import Alias

OLD, NEW = Alias("test:US.1"), Alias("test:US.2")
PHONE, SECOND_PHONE = Alias("test:+1", strong=False), Alias("test:+2", strong=False)
NOBODY = Claim(None)


def found(alias: Alias, person_id: str, *, has_strong: bool = False) -> FoundAlias:
    return FoundAlias(alias, person_id, has_strong)


@pytest.mark.parametrize(
    ("previous", "current", "before", "after", "expected"),
    [
        (OLD, NEW, None, None, NOBODY),
        (OLD, NEW, None, found(NEW, "bruno"), NOBODY),
        (OLD, NEW, found(OLD, "anna"), None, Claim("anna")),
        (OLD, NEW, found(OLD, "anna", has_strong=True), None, Claim("anna")),
        (OLD, NEW, found(OLD, "anna"), found(NEW, "anna", has_strong=True), Claim("anna")),
        (OLD, NEW, found(OLD, "anna"), found(NEW, "bruno"), Claim("anna", "bruno")),
        # A number finds only a person who has no strong id.
        (PHONE, NEW, found(PHONE, "anna"), None, Claim("anna")),
        (PHONE, NEW, found(PHONE, "anna", has_strong=True), None, NOBODY),
        (PHONE, NEW, found(PHONE, "anna", has_strong=True), found(NEW, "bruno"), NOBODY),
        # It never replaces a strong id.
        (OLD, PHONE, found(OLD, "anna"), None, NOBODY),
        (OLD, PHONE, found(OLD, "anna"), found(PHONE, "bruno"), NOBODY),
        (OLD, Alias("test:+1"), found(OLD, "anna"), found(PHONE, "bruno", has_strong=True), NOBODY),
        (Alias("test:US.1", strong=False), PHONE, found(OLD, "anna"), None, Claim("anna")),
        (PHONE, SECOND_PHONE, found(PHONE, "anna"), found(SECOND_PHONE, "bruno"), Claim("anna", "bruno")),
        # Given or kept as weak is weak.
        (Alias("test:+1"), NEW, found(PHONE, "anna", has_strong=True), None, NOBODY),
        (PHONE, NEW, found(Alias("test:+1"), "anna", has_strong=True), None, NOBODY),
    ],
)
def test_the_person_that_the_new_id_is_to_name(
    previous: Alias, current: Alias, before: FoundAlias | None, after: FoundAlias | None, expected: Claim
) -> None:
    assert claim(previous, current, previous_found=before, current_found=after) == expected


def test_the_weakest_given_strength_counts() -> None:
    weak = Alias(OLD.user_id, strong=False)
    assert is_strong(OLD, None)
    assert is_strong(OLD, found(OLD, "anna"))
    assert not is_strong(OLD, found(weak, "anna"))
    assert not is_strong(weak, found(OLD, "anna"))


def test_the_older_one_stays() -> None:
    older, newer = MergeCandidate("p_2", 1.0, connected=False), MergeCandidate("p_1", 2.0, connected=True)
    assert older_first(newer, older) == older_first(older, newer) == (older, newer)


def test_of_one_age_the_ids_decide() -> None:
    one, other = MergeCandidate("p_1", 1.0, connected=False), MergeCandidate("p_2", 1.0, connected=False)
    assert older_first(other, one) == (one, other)


@pytest.mark.parametrize(("one", "other", "merged"), [(True, True, False), (True, False, True), (False, False, True)])
def test_a_channels_notice_never_mixes_accounts(*, one: bool, other: bool, merged: bool) -> None:
    assert may_merge(MergeCandidate("p_1", 1.0, connected=one), MergeCandidate("p_2", 2.0, connected=other)) is merged

from __future__ import annotations

import pytest

from kernel_service.errors import Conflict
from kernel_service.people.identity import FoundAlias, Resolution, resolve
from kernel_service.ports.messages import Alias

BSUID = Alias("test:US.1", scope="portfolio")
PARENT = Alias("test:US.ENT.1", scope="portfolio")
PHONE = Alias("test:+1", strong=False, scope="portfolio")
SECOND_PHONE = Alias("test:+2", strong=False, scope="portfolio")


def found(alias: Alias, person_id: str, *, has_strong: bool = False) -> FoundAlias:
    return FoundAlias(alias, person_id, has_strong)


def test_nothing_known_is_a_new_person() -> None:
    assert resolve([], [BSUID, PHONE]) == Resolution(None, attach=(BSUID, PHONE))


def test_a_known_strong_id_is_that_person() -> None:
    assert resolve([found(BSUID, "anna")], [BSUID]) == Resolution("anna")


def test_unmapped_ids_are_kept_for_the_person() -> None:
    assert resolve([found(BSUID, "anna")], [BSUID, PARENT, PHONE]) == Resolution("anna", attach=(PARENT, PHONE))


def test_the_parent_finds_the_person_of_a_new_strong_id() -> None:
    assert resolve([found(PARENT, "anna")], [BSUID, PARENT]) == Resolution("anna", attach=(BSUID,))


def test_a_persons_own_weak_id_stays_theirs() -> None:
    known = [found(BSUID, "anna"), found(PHONE, "anna", has_strong=True)]
    assert resolve(known, [BSUID, PHONE]) == Resolution("anna")


def test_a_number_moves_from_a_person_who_has_a_strong_id() -> None:
    known = [found(BSUID, "anna"), found(PHONE, "bruno", has_strong=True)]
    assert resolve(known, [BSUID, PHONE]) == Resolution("anna", move=(PHONE,))


def test_a_number_stays_with_a_person_who_has_nothing_else() -> None:
    known = [found(BSUID, "anna"), found(PHONE, "bruno")]
    assert resolve(known, [BSUID, PHONE]) == Resolution("anna")


def test_a_new_strong_id_joins_a_person_known_by_number_alone() -> None:
    assert resolve([found(PHONE, "bruno")], [BSUID, PHONE]) == Resolution("bruno", attach=(BSUID,))


def test_a_stranger_with_a_recycled_number_is_a_new_person_and_takes_it() -> None:
    known = [found(PHONE, "bruno", has_strong=True)]
    assert resolve(known, [BSUID, PHONE]) == Resolution(None, attach=(BSUID,), move=(PHONE,))


def test_a_number_alone_finds_a_person_who_has_no_strong_id() -> None:
    assert resolve([found(PHONE, "bruno")], [PHONE]) == Resolution("bruno")


def test_a_number_alone_never_finds_a_person_who_has_a_strong_id() -> None:
    assert resolve([found(PHONE, "bruno", has_strong=True)], [PHONE]) == Resolution(None, move=(PHONE,))


@pytest.mark.parametrize("given", [[PHONE, SECOND_PHONE], [SECOND_PHONE, PHONE]])
def test_of_two_numbers_the_one_whose_person_has_nothing_else_decides(given: list[Alias]) -> None:
    known = [found(PHONE, "bruno", has_strong=True), found(SECOND_PHONE, "carla")]
    assert resolve(known, given) == Resolution("carla", move=(PHONE,))


def test_of_two_people_known_by_number_alone_the_first_given_decides() -> None:
    known = [found(PHONE, "bruno"), found(SECOND_PHONE, "carla")]
    assert resolve(known, [SECOND_PHONE, PHONE]) == Resolution("carla")


def test_two_strong_ids_of_different_people_conflict() -> None:
    with pytest.raises(Conflict) as conflict:
        resolve([found(BSUID, "anna"), found(PARENT, "bruno")], [BSUID, PARENT])
    assert conflict.value.reason == "IDENTITY_CONFLICT"


def test_two_strong_ids_of_one_person_agree() -> None:
    known = [found(BSUID, "anna", has_strong=True), found(PARENT, "anna", has_strong=True)]
    assert resolve(known, [BSUID, PARENT]) == Resolution("anna")


def test_the_same_id_in_another_scope_is_another_id() -> None:
    elsewhere = Alias(BSUID.user_id, scope="other portfolio")
    assert resolve([found(BSUID, "anna")], [elsewhere]) == Resolution(None, attach=(elsewhere,))


def test_an_id_kept_as_weak_is_weak_even_when_given_as_strong() -> None:
    bare = Alias(PHONE.user_id, scope=PHONE.scope)
    assert resolve([found(PHONE, "bruno", has_strong=True)], [bare]) == Resolution(None, move=(PHONE,))


def test_an_id_kept_as_strong_and_now_given_as_weak_moves_as_weak() -> None:
    kept = Alias(PHONE.user_id, scope=PHONE.scope)
    known = [found(kept, "bruno", has_strong=True)]
    assert resolve(known, [BSUID, PHONE]) == Resolution(None, attach=(BSUID,), move=(PHONE,))


def test_an_id_once_thought_strong_lets_its_person_get_a_strong_one() -> None:
    kept = Alias(PHONE.user_id, scope=PHONE.scope)
    assert resolve([found(kept, "bruno")], [BSUID, PHONE]) == Resolution("bruno", attach=(BSUID,))

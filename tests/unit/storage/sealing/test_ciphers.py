from __future__ import annotations

import base64

import pytest

from kernel_service.errors import Unreadable
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing import earlier_seals
from kernel_service.storage.sealing.ciphers import Cipher, Digests, KeysError, MasterKeys, PersonCipher, Place, place

ONE, TWO = base64.b64encode(b"1" * 32).decode(), base64.b64encode(b"2" * 32).decode()


HERE = place(schema.item.c.data, "p_1", 1)


@pytest.mark.parametrize(
    "elsewhere",
    [
        place(schema.item.c.data, "p_1", 2),
        place(schema.item.c.data, "p_2", 1),
        place(schema.item.c.data, "p_11"),
        place(schema.message.c.payload, "p_1", 1),
        place(schema.item.c.kind, "p_1", 1),
    ],
)
def test_a_value_opens_only_in_its_own_place(elsewhere: Place) -> None:
    cipher = PersonCipher(b"k" * 32)
    sealed = cipher.seal(b"secret words", HERE)
    assert cipher.open(sealed, HERE) == b"secret words"
    assert b"secret" not in sealed
    with pytest.raises(Unreadable):
        cipher.open(sealed, elsewhere)
    with pytest.raises(Unreadable):
        PersonCipher(b"x" * 32).open(sealed, HERE)


def test_a_value_that_was_changed_or_cut_does_not_open() -> None:
    cipher = PersonCipher(b"k" * 32)
    sealed = cipher.seal(b"secret words", HERE)
    for changed in (sealed[:-1] + bytes([sealed[-1] ^ 1]), *(sealed[:length] for length in range(len(sealed)))):
        with pytest.raises(Unreadable):
            cipher.open(changed, HERE)


def test_two_seals_of_one_value_differ() -> None:
    cipher = PersonCipher(b"k" * 32)
    assert cipher.seal(b"words", HERE) != cipher.seal(b"words", HERE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", ""), ("", "a")),
        (("1:a,",), ("1:a,", "")),
        ((b"\x00",), (b"\x00\x00",)),
        (("a", "b"), ("a,1:b",)),
    ],
)
def test_contexts_of_different_rows_differ(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert place(schema.alias.c.value, *one).context() != place(schema.alias.c.value, *other).context()


def test_a_row_key_has_the_form_that_its_columns_store() -> None:
    assert place(schema.alias.c.value, "a\0\ud800").context() == place(schema.alias.c.value, "a\ufffd\ufffd").context()


def test_the_earlier_form_opens_only_where_it_is_expected() -> None:
    key, earlier = b"k" * 32, earlier_seals.of_person("p_1")
    sealed = Cipher(key).seal(b"words", b"item:p_1")
    assert PersonCipher(key, earlier).open(sealed, HERE) == b"words"
    with pytest.raises(Unreadable):
        PersonCipher(key).open(sealed, HERE)
    with pytest.raises(Unreadable):
        PersonCipher(key, earlier).open(sealed, place(schema.message.c.payload, 1))
    with pytest.raises(Unreadable):
        PersonCipher(key, earlier).open(Cipher(key).seal(b"words", b""), place(schema.item.c.kind, "p_1", 1))


@pytest.mark.parametrize("number", [0, 1, 9, 10, 2**63 - 1, -1])
def test_values_of_one_column_open_as_each_does_alone(number: int) -> None:
    key, earlier = b"k" * 32, earlier_seals.of_person("p_1")
    column, here = place(schema.item.c.data, "p_1"), place(schema.item.c.data, "p_1", number)
    bound = PersonCipher(key).seal(b"words", here)
    unbound = Cipher(key).seal(b"words", b"item:p_1")
    opened = PersonCipher(key).opener(column)
    assert opened(bound, number) == b"words"
    assert PersonCipher(key, earlier).opener(column)(unbound, number) == b"words"
    for sealed, where in ((bound, number + 1), (unbound, number), (bound[:-1], number), (b"", number)):
        with pytest.raises(Unreadable):
            opened(sealed, where)
    with pytest.raises(Unreadable):
        PersonCipher(key, earlier).opener(place(schema.item.c.data, "p_2"))(bound, number)


def test_the_first_key_wraps_and_all_unwrap() -> None:
    old = MasterKeys.parse(f"old:{ONE}").wrap(b"data key", b"p_1")
    both = MasterKeys.parse(f" new:{TWO}, old:{ONE} ")
    assert both.unwrap(old, b"p_1") == b"data key"
    assert both.wrap(b"data key", b"p_1").key_id == "new"
    with pytest.raises(Unreadable) as refused:
        MasterKeys.parse(f"new:{TWO}").unwrap(old, b"p_1")
    assert refused.value.reason == "SEALING_KEY_UNKNOWN"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("", "no key"),
        (" , ", "no key"),
        (ONE, "key 1 has no id"),
        (f":{ONE}", "key 1 has no id"),
        (f"a:{ONE},b:{ONE[:20]}", "key 2 has 15 bytes, not 32"),
        (f"a:{ONE},b:not base64!", "key 2 is not base64"),
        (f"a:{ONE},a:{TWO}", "key 2 repeats"),
    ],
)
def test_a_bad_setting_is_named_and_never_quoted(setting: str, problem: str) -> None:
    with pytest.raises(KeysError, match=problem) as refused:
        MasterKeys.parse(setting)
    assert ONE[:20] not in str(refused.value)
    assert "not base64!" not in str(refused.value)


def test_digests_depend_on_key_purpose_and_value() -> None:
    one, other = Digests(b"1" * 32), Digests(b"2" * 32)
    found = {one.user("a:1"), other.user("a:1"), one.user("a:2"), one.payload(b"a:1")}
    assert len(found) == 4
    assert one.user("a:1") == Digests(b"1" * 32).user("a:1")

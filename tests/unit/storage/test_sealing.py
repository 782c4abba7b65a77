from __future__ import annotations

import base64

import pytest

from kernel_service.errors import Conflict
from kernel_service.storage.sealing import Digests, KeysError, MasterKeys, PersonCipher

ONE, TWO = base64.b64encode(b"1" * 32).decode(), base64.b64encode(b"2" * 32).decode()


def test_a_sealed_value_opens_for_its_purpose_alone() -> None:
    cipher = PersonCipher(b"k" * 32)
    sealed = cipher.seal(b"secret words", b"item:p_1")
    assert cipher.open(sealed, b"item:p_1") == b"secret words"
    assert b"secret" not in sealed
    for stolen in (b"item:p_2", b"message:p_1"):
        with pytest.raises(Conflict):
            cipher.open(sealed, stolen)
    with pytest.raises(Conflict):
        PersonCipher(b"x" * 32).open(sealed, b"item:p_1")
    with pytest.raises(Conflict):
        cipher.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"item:p_1")
    for length in range(len(sealed)):
        with pytest.raises(Conflict):
            cipher.open(sealed[:length], b"item:p_1")


def test_two_seals_of_one_value_differ() -> None:
    cipher = PersonCipher(b"k" * 32)
    assert cipher.seal(b"words", b"") != cipher.seal(b"words", b"")


def test_the_first_key_wraps_and_all_unwrap() -> None:
    old = MasterKeys.parse(f"old:{ONE}").wrap(b"data key", b"p_1")
    both = MasterKeys.parse(f" new:{TWO}, old:{ONE} ")
    assert both.unwrap(old, b"p_1") == b"data key"
    assert both.wrap(b"data key", b"p_1").key_id == "new"
    with pytest.raises(Conflict) as refused:
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

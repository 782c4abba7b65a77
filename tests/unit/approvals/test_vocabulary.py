"""One vocabulary of addresses and party words: for who asks, what is shown first, and whether everybody is named."""

from __future__ import annotations

import time

import pytest

from kernel_service.approvals import words
from kernel_service.approvals.addresses import names_somebody
from kernel_service.approvals.leaves import Rank, leaves_of
from kernel_service.approvals.unnamed import reaches_unnamed
from kernel_service.approvals.words import among
from kernel_service.turns.replies.leaking_links import carrying_hosts

PEOPLE = [
    "bob@example.org",
    "Bob <bob@example.org>",
    "bob@localhost",
    "bob@пример.рф",
    "bob @ example.org",
    "+49 170 1234567",
    "0170 123 4567",
    "(555) 123-4567",
    "555-1234",
    "00491701234567",
    "+1 (555) 123 4567",
    "@bob_smith",
    "hello @bob",
]
PLACES = [
    "https://evil.example/x",
    "evil.example/x",
    "www.evil.example",
    "//evil.example/x",
    "http://10.0.0.1/x",
    "10.0.0.1",
    "10.0.0.1/x",
    "[2001:db8::1]",
    "evil.example:8080",
    "localhost:3000",
    "javascript:alert(1)",
    "data:text/html,x",
    "sms:+4917",
    "skype:bob",
    "whatsapp://send?phone=1",
    "\\\\evil.example\\x",
    "ftp://x.example/y",
    "=IMPORTDATA(A1)",
]
NOBODY = ["Buy milk", "2026-11-27", "at 14:30", "1209876543210987", "3.14", "v1.2.3", "50 %"]


@pytest.mark.parametrize("written", [*PEOPLE, *PLACES])
def test_an_address_that_makes_a_call_ask_is_essential_in_its_question(written: str) -> None:
    assert names_somebody(written)
    [leaf] = leaves_of({"note": written})
    assert leaf.names
    assert leaf.essential
    assert leaf.rank <= Rank.ADDRESS


@pytest.mark.parametrize("written", PEOPLE)
def test_a_person_comes_first_and_is_named(written: str) -> None:
    [leaf] = leaves_of({"note": written})
    assert leaf.rank is Rank.PARTY
    assert not reaches_unnamed("ACME_SEND_IT", leaves_of({"to": written}), {})


@pytest.mark.parametrize("written", PEOPLE)
def test_addresses_in_a_long_text_are_found(written: str) -> None:
    [leaf] = leaves_of({"note": "word " * 100 + written + " word" * 100})
    assert leaf.names
    assert all(name in written for name in leaf.names)


@pytest.mark.parametrize("written", NOBODY)
def test_a_text_that_addresses_no_one_is_an_address_nowhere(written: str) -> None:
    assert not names_somebody(written)
    [leaf] = leaves_of({"note": written})
    assert not leaf.names
    assert leaf.rank is Rank.SHORT


@pytest.mark.parametrize("written", [each for each in PLACES if "://" in each or each.startswith("www")])
def test_a_link_of_an_answer_is_an_address_of_a_call(written: str) -> None:
    assert carrying_hosts(f"see {written}?q=secret", [])
    assert names_somebody(written)


def test_digits_of_an_id_are_no_telephone_number() -> None:
    [leaf] = leaves_of({"task_gid": "1201234567"})
    assert leaf.rank is Rank.SHORT


@pytest.mark.parametrize("word", sorted(words.PARTIES))
def test_a_party_word_is_known_to_all(word: str) -> None:
    assert among(word, words.ADDRESSEES)
    [leaf] = leaves_of({word: "x"})
    assert leaf.rank is Rank.PARTY
    is_named = not reaches_unnamed("ACME_SEND_IT", leaves_of({word: "Bob Smith"}), {})
    assert is_named == (word in words.REACHED) or word in {"group", "webhook", "domain", "public", "anyone"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["@bob{}", "b{}@x.org", "10.0.0.1/{}", "x", "1", "a.", "@", "+1"])
def test_ten_times_as_much_text_takes_ten_times_as_long(form: str) -> None:
    def seconds(times: int) -> float:
        text = " ".join(form.format(n) for n in range(times))
        began = time.process_time()
        leaves_of({"note": text})
        return time.process_time() - began

    assert seconds(20_000) < 30 * max(seconds(2000), 0.01)

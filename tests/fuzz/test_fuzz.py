"""A small, deterministic part of `python -m tests.fuzz`, and tests that its checks detect faults."""

import hashlib
import hmac
import json
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import corpus, odd_signature, seeds
from tests.fuzz.attribution import is_vouched_for
from tests.fuzz.mutations import CANARY, CANARY_WORDS, Mutator
from tests.fuzz.trial import NUMBER, Trial, features, sign
from whatsapp_gateway.inbound import senders, updates, webhook
from whatsapp_gateway.inbound.signature import is_signed
from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.model.updates import Message

BODIES = 3000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("name", "raw"), [pytest.param(name, raw, id=name) for name, raw in corpus()])
async def test_the_corpus_of_earlier_runs_passes(name: str, raw: bytes) -> None:
    assert await Trial().run(raw) == []


async def test_changed_payloads_do_no_harm() -> None:
    rng = random.Random(7)
    mutator, trial = Mutator(seeds(), rng), Trial()
    for number in range(BODIES):
        raw = mutator.body()
        signature = odd_signature(raw, rng) if number % 50 == 0 else None
        assert await trial.run(raw, signature) == []
    assert set(trial.statuses) == {200, 400, 401}
    assert trial.statuses[200] > BODIES / 2


async def test_a_canary_given_to_another_person_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_position(item: Any, contacts: Any) -> Any:
        return sender(item | {"from_user_id": "US.13491208655302741918"}, [])

    sender = senders.read_sender
    monkeypatch.setattr(updates, "read_sender", by_position)
    assert any("canary" in problem for problem in await _some_runs(Trial()))


async def test_a_crash_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: Any, numbers: Any) -> list[Any]:
        if "image" in json.dumps(body):
            raise KeyError("image")
        return read_updates(body, numbers)

    monkeypatch.setattr(webhook, "read_updates", broken)
    assert any("crash: KeyError" in problem for problem in await _some_runs(Trial()))


async def test_a_caught_fault_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(item: Any) -> Any:
        raise KeyError("image")

    monkeypatch.setattr(updates, "read_content", broken)
    assert "an item was dropped because of an internal fault" in await _some_runs(Trial())


async def test_an_accepted_unsigned_body_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "is_signed", lambda *_: True)
    body = json.dumps({"entry": [{"changes": [{"field": "messages", "value": {"messages": [CANARY]}}]}]}).encode()
    assert await Trial().run(body, "sha256=00") == ["unsigned, and answered 200"]


async def _some_runs(trial: Trial) -> list[str]:
    mutator = Mutator(seeds(), random.Random(7))
    return [problem for _ in range(300) for problem in await trial.run(mutator.body())]


def test_the_second_opinion_on_who_wrote() -> None:
    value = {"metadata": {"phone_number_id": NUMBER}, "messages": [CANARY], "contacts": [{"user_id": "US.B"}]}
    body = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    (message,) = read_updates(body, {NUMBER})
    assert isinstance(message, Message)
    assert is_vouched_for(message, body)
    value["messages"] = [CANARY | {"from_user_id": "US.B"}]
    assert not is_vouched_for(message, body)
    assert CANARY_WORDS in str(body)
    assert features(json.dumps(body).encode()) == {"Message Text 1 False False"}


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=40), st.text(max_size=80) | st.binary(max_size=80))
@settings(max_examples=2000, deadline=None)
def test_only_the_right_signature_is_accepted(raw: bytes, secret: bytes, header: str | bytes) -> None:
    text = header.decode(errors="surrogateescape") if isinstance(header, bytes) else header
    assert is_signed(raw, text, [secret]) == (text == _right(raw, secret))
    assert is_signed(raw, _right(raw, secret), [secret])
    assert not is_signed(raw + b"x", _right(raw, secret), [secret])


def _right(raw: bytes, secret: bytes) -> str:
    return "sha256=" + hmac.new(secret, raw, hashlib.sha256).hexdigest()


def test_a_signature_of_the_trial_is_one_of_the_gateway() -> None:
    assert is_signed(b"{}", sign(b"{}"), [b"fuzz"])

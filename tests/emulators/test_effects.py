"""The effect log: ordered, awaited without polling, and intact after a kill."""

import asyncio
from pathlib import Path

import pytest

from emulators.effects import Effect, Effects


def test_effects_are_numbered_and_filtered() -> None:
    log = Effects(clock=lambda: 5.0)
    log.record("model_call", person="a", key="1", text="x")
    log.record("graph_send", person="b")
    log.record("model_call", person="b")
    assert [effect.number for effect in log.all()] == [1, 2, 3]
    assert [effect.number for effect in log.all("model_call")] == [1, 3]
    assert [effect.number for effect in log.all(person="b", after=2)] == [3]
    assert (log.all()[0].at, log.all()[0].detail) == (5.0, {"text": "x"})


async def test_waiting_sees_past_and_future_effects() -> None:
    log = Effects()
    earlier = log.record("graph_send", key="1")
    assert await log.wait_for(lambda effect: effect.kind == "graph_send") is earlier

    async def come_later() -> Effect:
        log.record("model_call")
        return log.record("graph_send", key="2")

    wanted = log.wait_for(lambda effect: effect.kind == "graph_send", after=1)
    seen, later = await asyncio.gather(wanted, come_later())
    assert seen is later


async def test_waiting_ends_at_the_timeout() -> None:
    with pytest.raises(TimeoutError):
        await Effects().wait_for(lambda _: True, timeout=0.01)


def test_a_log_file_continues_its_numbers_even_after_a_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "effects.jsonl"
    log = Effects(file=file)
    log.record("model_call", person="a", tools=["x"])
    log.record("graph_send", person="b")
    with file.open("ab") as stream:
        stream.write(b'{"number":3,"at":1.0,"ki')
    again = Effects(file=file)
    assert again.all() == log.all()
    assert again.record("model_call").number == 3
    assert [effect.number for effect in Effects(file=file).all()] == [1, 2, 3]

"""The emulators on a free port, with each vendor's own client."""

import random
from collections.abc import AsyncIterator

import pytest
from composio_client import AsyncComposio, ProjectAuth
from openai import AsyncOpenAI

from emulators.app import Emulators
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1_790_000_000.0)


@pytest.fixture
async def emulators(clock: Clock) -> AsyncIterator[Emulators]:
    async with Emulators.start(clock=clock, rng=random.Random(7)) as running:
        yield running


@pytest.fixture
async def client(emulators: Emulators) -> AsyncIterator[AsyncOpenAI]:
    key = emulators.config.openai_api_key
    async with AsyncOpenAI(api_key=key, base_url=emulators.openai.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
async def composio(emulators: Emulators) -> AsyncIterator[AsyncComposio]:
    async with AsyncComposio(
        auth=ProjectAuth(emulators.config.composio_api_key),
        base_url=emulators.composio.base_url,
        max_retries=0,
        timeout=30,
    ) as client:
        yield client

"""An emulator with a small gateway behind it."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from selenium import webdriver

from emulators.app import Emulators
from emulators.config import Config
from emulators.whatsapp.app import WhatsApp
from tests.browser import start
from tests.clock import Clock
from tests.emulators.whatsapp.fakes import Gateway, Graph


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def webhook_url(gateway: Gateway) -> AsyncIterator[str]:
    async with gateway.serving() as (_, url):
        yield url


@pytest.fixture
async def emulators(clock: Clock, webhook_url: str) -> AsyncIterator[Emulators]:
    config = Config(emulators_listen="127.0.0.1:0", emulators_webhook_url=webhook_url)
    async with Emulators.start(config, clock=clock) as running:
        running.whatsapp.webhooks.backoff = lambda _: 0
        yield running


@pytest.fixture
def whatsapp(emulators: Emulators) -> WhatsApp:
    return emulators.whatsapp


@pytest.fixture
async def graph(emulators: Emulators) -> AsyncIterator[Graph]:
    async with aiohttp.ClientSession() as session:
        yield Graph(session, emulators.url)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One for all tests: each of them opens a tab (tests.browser.phones_tab)."""
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()

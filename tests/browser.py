"""A real Chromium for tests, and what they look for on the phones page."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    # A fake microphone that hums, and no prompt for permission.
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]

in_a_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"),
]
"""The marks of a test that drives Chromium."""

T = TypeVar("T")

SEE_SECONDS = 40
"""The longest that anything on the page may take: a consent is asked for at up to 15 s intervals."""

SPEECH_SECONDS = 0.5


class Browser:
    """Chromium, driven from a thread, so that the emulator continues to serve it meanwhile."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    async def do(self, step: Callable[[webdriver.Chrome], T]) -> T:
        return await asyncio.to_thread(step, self._driver)

    async def see(self, what: str, shown: Callable[[webdriver.Chrome], Any]) -> None:
        """Wait until the page shows something. An element may be absent, or replaced meanwhile."""
        absent = [IndexError, NoSuchElementException, StaleElementReferenceException]
        await self.do(lambda driver: WebDriverWait(driver, SEE_SECONDS, 0.05, absent).until(shown, what))

    async def press(self, selector: str) -> None:
        """Click the first enabled button that the selector finds."""
        enabled = f"{selector}:enabled"
        await self.see(f"the button {selector}", lambda driver: shown(driver, enabled))
        await self.do(lambda driver: driver.find_element(By.CSS_SELECTOR, enabled).click())

    async def say(self, label: str, text: str) -> None:
        await self.do(lambda driver: field(driver, label).send_keys(text, Keys.ENTER))

    async def send_file(self, label: str, file: Path, caption: str = "") -> None:
        await self.do(lambda driver: field(driver, label).send_keys(caption))
        chooser = f"input[aria-label='File from {label}']"
        await self.do(lambda driver: driver.find_element(By.CSS_SELECTOR, chooser).send_keys(str(file)))

    async def record(self, label: str) -> None:
        """Record a hum with the microphone between two clicks, and send it."""
        mic = f"button[aria-label='Record a voice message as {label}']"
        await self.do(lambda driver: driver.find_element(By.CSS_SELECTOR, mic).click())
        recording = f"{mic}[aria-pressed=true]"
        await self.see("recording", lambda driver: driver.find_elements(By.CSS_SELECTOR, recording))
        await asyncio.sleep(SPEECH_SECONDS)
        await self.do(lambda driver: driver.find_element(By.CSS_SELECTOR, recording).click())


def field(driver: webdriver.Chrome, label: str) -> WebElement:
    return driver.find_element(By.CSS_SELECTOR, f"textarea[aria-label='Message from {label}']")


def shown(driver: webdriver.Chrome, selector: str) -> list[str]:
    """The visible texts, read in one script: elements may be replaced between two calls."""
    found = f"document.querySelectorAll({selector!r})"
    seen: list[str] = driver.execute_script(
        f"return [...{found}].filter((node) => node.checkVisibility()).map((node) => node.innerText.trim())"
    )
    return seen


def texts(driver: webdriver.Chrome, label: str) -> list[str]:
    return shown(driver, f"[role=log][aria-label^={label}] .text")


def start(profile: Path) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in [*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,800"]:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(DRIVER))


@asynccontextmanager
async def phones_page(profile: Path, url: str) -> AsyncIterator[Browser]:
    """A new Chromium on the phones page, once its two phones are there."""
    driver = await asyncio.to_thread(start, profile)
    try:
        page = Browser(driver)
        await page.do(lambda driver: driver.get(url))
        await page.see("two phones", lambda driver: shown(driver, ".phone"))
        yield page
    finally:
        await asyncio.to_thread(driver.quit)


@asynccontextmanager
async def phones_tab(driver: webdriver.Chrome, url: str) -> AsyncIterator[Browser]:
    """The phones page in a new tab of a Chromium that tests share. The tab is closed with those that it has opened."""
    page = Browser(driver)
    first = await page.do(lambda driver: driver.current_window_handle)
    await page.do(lambda driver: driver.switch_to.new_window("tab"))
    try:
        await page.do(lambda driver: driver.get(url))
        await page.see("two phones", lambda driver: shown(driver, ".phone"))
        yield page
    finally:
        await page.do(lambda driver: _close_all_but(driver, first))


def _close_all_but(driver: webdriver.Chrome, first: str) -> None:
    for handle in driver.window_handles:
        if handle != first:
            driver.switch_to.window(handle)
            driver.close()
    driver.switch_to.window(first)

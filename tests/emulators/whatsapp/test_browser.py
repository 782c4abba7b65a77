"""The phones page in a real Chromium, with a small gateway that answers through the Graph API."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from emulators.app import Emulators
from tests.emulators.whatsapp.fakes import Gateway, Graph

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
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"),
]

T = TypeVar("T")


class Browser:
    """Chromium, driven from a thread, so that the emulator goes on serving it meanwhile."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    async def do(self, step: Callable[[webdriver.Chrome], T]) -> T:
        return await asyncio.to_thread(step, self._driver)

    async def see(self, what: str, shown: Callable[[webdriver.Chrome], Any]) -> None:
        """Wait until the page shows something."""
        await self.do(lambda driver: WebDriverWait(driver, 10, 0.05).until(shown, what))

    async def say(self, label: str, text: str) -> None:
        await self.do(lambda driver: field(driver, label).send_keys(text, Keys.ENTER))


def field(driver: webdriver.Chrome, label: str) -> WebElement:
    return driver.find_element(By.CSS_SELECTOR, f"textarea[aria-label='Message from {label}']")


def shown(driver: webdriver.Chrome, selector: str) -> list[str]:
    """The visible texts, read in one go: elements may be replaced between two looks."""
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


@pytest.fixture
async def browser(tmp_path: Path, emulators: Emulators, gateway: Gateway) -> AsyncIterator[Browser]:
    driver = await asyncio.to_thread(start, tmp_path / "profile")
    try:
        page = Browser(driver)
        await page.do(lambda driver: driver.get(emulators.whatsapp.page_url))
        await page.see("two phones", lambda driver: shown(driver, ".phone"))
        yield page
    finally:
        await asyncio.to_thread(driver.quit)


@pytest.fixture(autouse=True)
def answers(gateway: Gateway, graph: Graph, emulators: Emulators) -> None:
    """Read each message with a typing indicator, then answer by what was said."""

    async def answer(message: dict[str, Any]) -> None:
        to = {"messaging_product": "whatsapp", "recipient": message["from_user_id"]}
        read = {"messaging_product": "whatsapp", "status": "read", "message_id": message["id"]}
        await graph.post(read | {"typing_indicator": {"type": "text"}})
        said = message.get("text", {}).get("body") or message["interactive"]["button_reply"]["id"]
        if said == "connect":
            link = {"display_text": "Connect", "url": f"{emulators.url}/effects"}
            action = {"name": "cta_url", "parameters": link}
            body = {"type": "cta_url", "body": {"text": "Tap to connect."}, "action": action}
            await graph.post(to | {"type": "interactive", "interactive": body})
        elif said == "ask":
            buttons = {"buttons": [{"type": "reply", "reply": {"id": "approved", "title": "Do it"}}]}
            body = {"type": "button", "body": {"text": "Shall I?"}, "action": buttons}
            await graph.post(to | {"type": "interactive", "interactive": body})
        elif said != "think":
            await graph.post(to | {"type": "text", "text": {"body": f"*You* said `{said}` <b>here</b>"}})

    gateway.on_message = answer


async def test_two_people_chat(browser: Browser, emulators: Emulators) -> None:
    await browser.say("Alice", "hi")
    await browser.see("an answer", lambda driver: len(texts(driver, "Alice")) == 2)
    await browser.say("Bob", "I am Bob")
    await browser.see("an answer", lambda driver: len(texts(driver, "Bob")) == 2)
    expected = ["hi", "You said hi <b>here</b>"]
    assert await browser.do(lambda driver: texts(driver, "Alice")) == expected
    assert await browser.do(lambda driver: shown(driver, ".text strong")) == ["You", "You"]
    assert await browser.do(lambda driver: shown(driver, ".text b")) == []
    await browser.see("blue ticks", lambda driver: driver.find_elements(By.CSS_SELECTOR, ".ticks.read"))
    alice = next(iter(emulators.whatsapp.phones))
    await browser.see("a read receipt", lambda _: alice.received[0].ticks == "read")
    await browser.do(lambda driver: driver.refresh())
    await browser.see("the same chat", lambda driver: texts(driver, "Alice") == expected)


async def test_typing_a_choice_and_a_link(browser: Browser) -> None:
    await browser.say("Alice", "think")
    await browser.see("typing", lambda driver: "typing" in shown(driver, ".presence")[0])
    assert await browser.do(lambda driver: shown(driver, ".presence")[1]) == "business account"
    await browser.say("Alice", "ask")
    await browser.see("a button", lambda driver: shown(driver, "button.action") == ["Do it"])
    await browser.do(lambda driver: driver.find_element(By.CSS_SELECTOR, "button.action").click())
    await browser.see("the answer", lambda driver: texts(driver, "Alice")[-1] == "You said approved <b>here</b>")
    assert await browser.do(lambda driver: shown(driver, ".quote")) == ["Shall I?"]
    await browser.say("Alice", "connect")
    await browser.see("a link", lambda driver: shown(driver, "a.action"))
    await browser.do(lambda driver: driver.find_element(By.CSS_SELECTOR, "a.action").click())
    await browser.see("a second tab", lambda driver: len(driver.window_handles) == 2)
    await browser.do(lambda driver: driver.switch_to.window(driver.window_handles[1]))
    await browser.see("where it leads", lambda driver: driver.current_url.endswith("/effects"))


async def test_a_small_screen_and_a_keyboard(browser: Browser) -> None:
    # A window has a least width; the emulated screen has none.
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    await browser.do(lambda driver: driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen))
    await browser.see("one phone", lambda driver: len(shown(driver, ".phone")) == 1)
    assert await browser.do(lambda driver: shown(driver, "[role=tab]")) == ["Alice", "Bob", "System"]

    def press_right(driver: webdriver.Chrome) -> None:
        driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)

    await browser.do(lambda driver: driver.find_element(By.CSS_SELECTOR, "[role=tab]").send_keys(Keys.ARROW_RIGHT))
    await browser.see("Bob", lambda driver: field(driver, "Bob").is_displayed())
    await browser.do(press_right)
    await browser.see("the system", lambda driver: "KERNEL_ADMIN_TOKEN" in shown(driver, "#system-summary")[0])
    assert await browser.do(lambda driver: shown(driver, ".phone")) == []
    await browser.do(lambda driver: driver.find_element(By.ID, "add-phone").send_keys(Keys.ENTER))
    await browser.do(lambda driver: driver.switch_to.active_element.send_keys("Carol", Keys.ENTER))
    await browser.see("Carol", lambda driver: "Carol" in shown(driver, "[role=tab]"))
    await browser.do(lambda driver: driver.switch_to.active_element.send_keys("here I am", Keys.ENTER))
    await browser.see("an answer", lambda driver: len(texts(driver, "Carol")) == 2)
    width = await browser.do(lambda driver: driver.execute_script("return document.body.scrollWidth"))
    assert width <= 360

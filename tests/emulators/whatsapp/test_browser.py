"""The phones page in a real Chromium, with a small gateway that answers through the Graph API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from emulators.app import Emulators
from tests.browser import Browser, field, in_a_browser, phones_page, shown, texts
from tests.emulators.whatsapp.fakes import Gateway, Graph

pytestmark = in_a_browser


@pytest.fixture
async def browser(tmp_path: Path, emulators: Emulators, gateway: Gateway) -> AsyncIterator[Browser]:
    async with phones_page(tmp_path / "profile", emulators.whatsapp.page_url) as page:
        yield page


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

"""The story of the README, in a real Chromium, with both services restarted in the middle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import in_a_browser, phones_page, shown, texts
from tests.integration.world import World, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = in_a_browser

BUTTON = "[role=log][aria-label^={label}] a[href*='/connect/']"
CODE = ".code"


def picture(driver: webdriver.Chrome, name: str) -> None:
    """Save a screenshot, if a folder for screenshots is given."""
    if folder := os.environ.get("STORY_PICTURES"):
        driver.save_screenshot(f"{folder}/{name}.png")


def to_the_code(driver: webdriver.Chrome) -> str:
    """Go from the button in the chat to the connect pages, on to the vendor, and back."""
    driver.find_element(By.CSS_SELECTOR, BUTTON.format(label="Alice")).click()
    driver.switch_to.window(driver.window_handles[-1])
    button = on_the_page(driver, "form button")
    picture(driver, "connect-page")
    button.click()
    on_the_page(driver, "button[value=approve]").click()
    code = on_the_page(driver, CODE)
    picture(driver, "code")
    return str(code.text)


def on_the_page(driver: webdriver.Chrome, selector: str) -> WebElement:
    """Wait for the element: a click returns before the next page is loaded."""
    [found, *_] = WebDriverWait(driver, 20).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, selector))
    return found


def back_to_the_chat(driver: webdriver.Chrome) -> str:
    """Return to the chat by the page's button, which types the code in, and send it. Returns the sent text."""
    on_the_page(driver, "a.go").click()
    [field] = WebDriverWait(driver, 20).until(
        lambda driver: [each for each in driver.find_elements(By.TAG_NAME, "textarea") if each.get_property("value")]
    )
    said = str(field.get_property("value"))
    field.send_keys(Keys.ENTER)
    driver.close()
    driver.switch_to.window(driver.window_handles[0])
    return said


async def restart(world: World) -> None:
    await world.stop_kernel()
    await world.start_kernel()
    await world.stop_gateway()
    await world.start_gateway()


async def test_a_request_that_needs_a_connection_resumes_by_itself(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world, phones_page(tmp_path / "p", world.emulators.whatsapp.page_url) as page:
        await page.say("Alice", "my name is Alice")
        await page.say("Bob", "hello there")
        await page.see("an answer to Bob", lambda driver: any("“hello there”" in t for t in texts(driver, "Bob")))
        await page.say("Alice", "create a task: Prepare the demo")
        await page.see("the button", lambda driver: driver.find_elements(By.CSS_SELECTOR, BUTTON.format(label="Alice")))
        code = await page.do(to_the_code)

        await restart(world)

        assert await page.do(back_to_the_chat) == f"Connect {code}"
        await page.see("that it is done", lambda driver: any("Prepare the demo" in t for t in answers(driver, "Alice")))
        await page.say("Alice", "what is my name")
        await page.see("her name", lambda driver: "Your name is Alice." in texts(driver, "Alice"))
        await page.say("Bob", "list my tasks")
        await page.see(
            "their own link", lambda driver: driver.find_elements(By.CSS_SELECTOR, BUTTON.format(label="Bob"))
        )
        await page.see("what the system knows", lambda driver: "asana · active" in shown(driver, "#people")[0])
        assert len(await page.do(lambda driver: shown(driver, "#people > li"))) == 2
        seen = await page.do(lambda driver: (texts(driver, "Bob"), shown(driver, "#system")[0]))
        await page.do(lambda driver: picture(driver, "story"))
    assert not any("demo" in text or "Alice" in text for text in seen[0])
    assert "asana" in seen[1].lower()


def answers(driver: webdriver.Chrome, label: str) -> list[str]:
    """The assistant's answers after Asana was connected."""
    return [text for text in texts(driver, label) if text.startswith("Asana is connected.")]

"""The phones page for everybody: both looks, a small screen, the keyboard, and axe-core's rules."""

import json
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from emulators.app import Emulators
from tests.browser import Browser, field, in_a_browser, phones_tab, shown, texts
from tests.emulators.whatsapp.fakes import Gateway, Graph

pytestmark = in_a_browser

AXE = (files("axe_core_python") / "axe.min.js").read_text()
RUN_AXE = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations))"
WIDE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
SMALL = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
FOCUSED = """
const at = document.activeElement;
if (at === document.body) return null;
return getComputedStyle(at).outlineStyle === "none" ? `? ${at.outerHTML}` : at.ariaLabel || at.innerText;
"""
HEAR = """
window.heard = [];
const hear = (node) => node.nodeType === Node.ELEMENT_NODE && window.heard.push(node.className);
const watch = new MutationObserver((seen) => seen.forEach(({ addedNodes }) => addedNodes.forEach(hear)));
watch.observe(document.querySelector("[role=log]"), { childList: true, subtree: true });
"""
CHIPS = "ul[aria-label='Things to try as Alice'] button"


@pytest.fixture
async def browser(chromium: webdriver.Chrome, emulators: Emulators, gateway: Gateway) -> AsyncIterator[Browser]:
    async with phones_tab(chromium, emulators.whatsapp.page_url) as page:
        yield page


@pytest.fixture(autouse=True)
def answers(gateway: Gateway, graph: Graph) -> None:
    async def answer(message: dict[str, Any]) -> None:
        buttons = {"buttons": [{"type": "reply", "reply": {"id": "approval:1:yes", "title": "Approve"}}]}
        body = {"type": "button", "body": {"text": "Shall I?\n```a: 1```"}, "action": buttons}
        to = {"messaging_product": "whatsapp", "recipient": message["from_user_id"]}
        context = {"context": {"message_id": message["id"]}}
        await graph.post(to | context | {"type": "interactive", "interactive": body})

    gateway.on_message = answer


async def resize(browser: Browser, screen: dict[str, Any]) -> None:
    await browser.do(lambda driver: driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen))


async def prefer(browser: Browser, look: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": look}]}
    await browser.do(lambda driver: driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media))


async def violations(browser: Browser) -> list[str]:
    """The findings of axe-core, with the elements concerned."""
    found = await browser.do(lambda driver: driver.execute_async_script(f"{AXE};{RUN_AXE}"))
    return [f"{each['impact']}: {each['id']} {[node['target'] for node in each['nodes']]}" for each in found]


async def background(browser: Browser) -> str:
    read = "return getComputedStyle(document.body).backgroundColor"
    return str(await browser.do(lambda driver: driver.execute_script(read)))


async def test_axe_finds_nothing_in_both_looks_and_widths(browser: Browser, emulators: Emulators) -> None:
    await browser.say("Alice", "hello")
    await browser.see("an answer", lambda driver: len(texts(driver, "Alice")) == 2)
    await browser.see("the turn", lambda driver: "Parked until the person approves" in " ".join(shown(driver, ".step")))
    crashes = emulators.whatsapp.crashes
    crashes.switch.services = ["kernel_service", "whatsapp_gateway"]
    crashes.switch.killed("kernel_service")
    await browser.see("the kill", lambda driver: "starts again" in shown(driver, "#crash-told")[0])
    for look in ("light", "dark"):
        await prefer(browser, look)
        await resize(browser, WIDE)
        assert (look, await violations(browser)) == (look, [])
        await resize(browser, SMALL)
        for tab in ("Alice", "Bob", "System"):
            await browser.press(f"[role=tab][data-label='{tab}']")
            assert (look, tab, await violations(browser)) == (look, tab, [])
        width = await browser.do(lambda driver: driver.execute_script("return document.documentElement.scrollWidth"))
        assert width == 390


async def test_the_look_follows_the_system_until_one_is_chosen(browser: Browser) -> None:
    await prefer(browser, "light")
    light = await background(browser)
    await prefer(browser, "dark")
    dark = await background(browser)
    assert light != dark
    await browser.press("#look[aria-pressed=true]")
    assert await background(browser) == light
    await browser.do(lambda driver: driver.refresh())
    await browser.see("the phones", lambda driver: shown(driver, ".phone"))
    assert await background(browser) == light
    await browser.press("#look[aria-pressed=false]")
    await prefer(browser, "light")
    assert await background(browser) == dark


async def test_a_chip_types_its_text_and_the_person_sends_it(browser: Browser, gateway: Gateway) -> None:
    await browser.see("chips", lambda driver: len(shown(driver, CHIPS)) == 4)
    [first, second, *_] = await browser.do(lambda driver: shown(driver, CHIPS))
    await browser.press(CHIPS)
    assert await browser.do(lambda driver: field(driver, "Alice").get_property("value")) == first
    assert gateway.messages() == []
    await browser.do(lambda driver: driver.switch_to.active_element.send_keys(Keys.ENTER))
    await browser.see("an answer", lambda driver: len(texts(driver, "Alice")) == 2)
    await browser.see("the next chips", lambda driver: shown(driver, CHIPS)[0] == second)
    bobs = await browser.do(lambda driver: shown(driver, "ul[aria-label='Things to try as Bob'] button"))
    assert bobs[0] == "my name is Bob"


async def test_the_keyboard_reaches_everything_and_escape_closes(browser: Browser, emulators: Emulators) -> None:
    emulators.whatsapp.crashes.switch.services = ["kernel_service"]
    emulators.whatsapp.crashes.switch.changed()
    await browser.say("Alice", "hello")
    await browser.see("a button", lambda driver: shown(driver, "button.action"))
    await browser.do(lambda driver: driver.refresh())  # the focus is nowhere
    await browser.see("a button", lambda driver: shown(driver, "button.action"))
    names = await browser.do(walk)
    for name in ("Dark look", "Add a phone", "Approve", "Message from Alice", "Send as Alice", "Message from Bob"):
        assert name in json.dumps(names), name
    assert "Kill the kernel service" in names
    assert "Answer or react to this message" in names

    def open_gestures(driver: webdriver.Chrome) -> None:
        driver.find_element(By.CSS_SELECTOR, ".gestures summary").send_keys(Keys.ENTER)
        driver.find_element(By.CSS_SELECTOR, ".gestures[open] [aria-label=Quote]").send_keys(Keys.ESCAPE)

    await browser.do(open_gestures)
    assert await browser.do(lambda driver: driver.find_elements(By.CSS_SELECTOR, "details[open]")) == []
    assert await browser.do(lambda driver: driver.switch_to.active_element.tag_name) == "summary"
    await browser.do(lambda driver: driver.find_element(By.ID, "add-phone").send_keys(Keys.ENTER))
    await browser.see("a dialog", lambda driver: shown(driver, "#add-dialog"))
    await browser.do(lambda driver: driver.switch_to.active_element.send_keys(Keys.ESCAPE))
    await browser.see("no dialog", lambda driver: not shown(driver, "#add-dialog"))
    assert len(list(emulators.whatsapp.phones)) == 2


def walk(driver: webdriver.Chrome) -> list[str]:
    """The names of what TAB reaches, each of which shows that it has the focus."""
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    names: list[str] = []
    while (name := driver.execute_script(FOCUSED)) is not None:
        names.append(name.strip())
        driver.switch_to.active_element.send_keys(Keys.TAB)
    assert not [name for name in names if name.startswith("?")]
    return names


async def test_a_screen_reader_hears_each_message_once(browser: Browser) -> None:
    """A change of ticks or reactions adds nothing to the log, which a screen reader reads aloud."""
    await browser.see("a phone", lambda driver: shown(driver, ".phone"))
    await browser.do(lambda driver: driver.execute_script(HEAR))
    await browser.say("Alice", "hello")
    await browser.see("an answer", lambda driver: len(texts(driver, "Alice")) == 2)
    await browser.see("two ticks", lambda driver: driver.find_elements(By.CSS_SELECTOR, ".ticks.delivered"))
    heard = await browser.do(lambda driver: driver.execute_script("return window.heard"))
    assert sorted(heard) == ["day", "message mine turn", "message turn"]

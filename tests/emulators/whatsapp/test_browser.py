"""The phones page in a real Chromium, with a small gateway that answers through the Graph API."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from emulators.app import Emulators
from tests.browser import Browser, field, in_a_browser, phones_tab, shown, texts
from tests.emulators.whatsapp.fakes import AUTHORIZATION, NUMBER, Gateway, Graph
from tests.integration.files import png

pytestmark = in_a_browser

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def browser(chromium: webdriver.Chrome, emulators: Emulators, gateway: Gateway) -> AsyncIterator[Browser]:
    async with phones_tab(chromium, emulators.whatsapp.page_url) as page:
        yield page


@pytest.fixture(autouse=True)
def answers(gateway: Gateway, graph: Graph, emulators: Emulators) -> None:
    """Read each message with a typing indicator, then answer according to its text."""

    async def answer(message: dict[str, Any]) -> None:
        to = {"messaging_product": "whatsapp", "recipient": message["from_user_id"]}
        read = {"messaging_product": "whatsapp", "status": "read", "message_id": message["id"]}
        await graph.post(read | {"typing_indicator": {"type": "text"}})
        kind = message["type"]
        if kind == "reaction":
            return
        if kind not in {"text", "interactive"}:
            file = {"type": "document", "document": {"id": await uploaded(graph), "filename": "answer.txt"}}
            await graph.post(to | file | {"context": {"message_id": message["id"]}})
            return
        said = message.get("text", {}).get("body") or message["interactive"]["button_reply"]["id"]
        if said == "connect":
            link = {"display_text": "Connect", "url": f"{emulators.url}/effects"}
            action = {"name": "cta_url", "parameters": link}
            body = {"type": "cta_url", "body": {"text": "Tap to connect."}, "action": action}
            await graph.post(to | {"type": "interactive", "interactive": body})
        elif said == "ask":
            buttons = {"buttons": [{"type": "reply", "reply": {"id": "approved", "title": "Do it"}}]}
            body = {"type": "button", "body": {"text": "*Shall* I?"}, "action": buttons}
            await graph.post(to | {"type": "interactive", "interactive": body})
        elif said != "think":
            await graph.post(to | {"type": "text", "text": {"body": f"*You* said `{said}` <b>here</b>"}})

    gateway.on_message = answer


async def uploaded(graph: Graph) -> str:
    """The id of a small file of the business."""
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "text/plain"})
    form.add_field("file", b"the answer", filename="answer.txt", content_type="text/plain")
    url, headers = f"{graph.base}/graph/v26.0/{NUMBER}/media", {"Authorization": AUTHORIZATION}
    async with graph.session.post(url, data=form, headers=headers) as response:
        media_id: str = (await response.json())["id"]
        return media_id


async def test_two_people_chat(browser: Browser, emulators: Emulators) -> None:
    await browser.say("Alice", "hi")
    await browser.see("an answer", lambda driver: len(texts(driver, "Alice")) == 2)
    await browser.say("Bob", "I am Bob")
    await browser.see("an answer", lambda driver: len(texts(driver, "Bob")) == 2)
    expected = ["hi", "You said hi <b>here</b>"]
    assert await browser.do(lambda driver: texts(driver, "Alice")) == expected
    assert await browser.do(lambda driver: shown(driver, ".text strong")) == ["You", "You"]
    assert await browser.do(lambda driver: shown(driver, ".text b")) == []
    ids = [f"+{phone.wa_id} · {phone.user_id}" for phone in emulators.whatsapp.phones]
    assert await browser.do(lambda driver: shown(driver, ".owner-id")) == ids
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
    await browser.see("another tab", lambda driver: len(driver.window_handles) == 3)
    await browser.do(lambda driver: driver.switch_to.window(driver.window_handles[-1]))
    await browser.see("where it leads", lambda driver: driver.current_url.endswith("/effects"))


async def test_a_photo_a_voice_note_a_quote_and_a_reaction(
    browser: Browser, gateway: Gateway, emulators: Emulators, tmp_path: Path
) -> None:
    picture = tmp_path / "leaf.png"
    picture.write_bytes(PNG)
    await browser.send_file("Alice", picture, "What plant is this?")
    await browser.see("the picture", lambda driver: driver.find_elements(By.CSS_SELECTOR, "img.picture"))
    await browser.see("a file in answer", lambda driver: shown(driver, "a.file") == ["answer.txt"])
    assert await browser.do(lambda driver: field(driver, "Alice").get_property("value")) == ""
    (told,) = gateway.messages()
    kept = emulators.whatsapp.files.get(told["image"]["id"])
    assert (told["image"]["caption"], kept and kept.data) == ("What plant is this?", PNG)

    await browser.record("Alice")
    await browser.see("the voice note", lambda driver: driver.find_elements(By.CSS_SELECTOR, "audio.player"))
    await browser.see("a second answer", lambda driver: len(shown(driver, "a.file")) == 2)
    voice = gateway.messages()[-1]["audio"]
    recorded = emulators.whatsapp.files.get(voice["id"])
    assert voice["voice"]
    assert recorded
    assert len(recorded.data) > 100

    await browser.do(lambda driver: gesture(driver, "Quote"))
    await browser.see("the quote", lambda driver: shown(driver, ".quoting"))
    await browser.say("Alice", "and this?")
    await browser.see("an answer", lambda driver: texts(driver, "Alice")[-1].startswith("You said and this?"))
    assert gateway.messages()[-1]["context"]["id"] == told["id"]
    assert await browser.do(lambda driver: shown(driver, ".quoting")) == []
    await browser.do(lambda driver: gesture(driver, "React with 👍"))
    await browser.see("the reaction", lambda driver: shown(driver, ".reaction") == ["👍"])
    await browser.do(lambda driver: gesture(driver, "Take back 👍"))
    await browser.see("no reaction", lambda driver: shown(driver, ".reaction") == [])
    reactions = [message["reaction"].get("emoji") for message in gateway.messages() if message["type"] == "reaction"]
    assert reactions == ["👍", None]


async def test_the_end_of_a_chat_stays_in_sight_while_a_picture_loads(browser: Browser, tmp_path: Path) -> None:
    picture = tmp_path / "wall.png"
    picture.write_bytes(png(side=600))
    for _ in range(3):
        await browser.say("Alice", "hello")
    await browser.see("three answers", lambda driver: len(texts(driver, "Alice")) == 6)
    await browser.send_file("Alice", picture)
    loaded = "return document.querySelector('img.picture')?.naturalHeight"
    await browser.see("the picture", lambda driver: driver.execute_script(loaded) == 600)
    await browser.see("a file in answer", lambda driver: shown(driver, "a.file"))
    below = (
        "const chat = document.querySelector('.chat'); return chat.scrollHeight - chat.scrollTop - chat.clientHeight"
    )
    await browser.see("the end of the chat", lambda driver: driver.execute_script(below) < 2)


def gesture(driver: webdriver.Chrome, name: str) -> None:
    """Open the gestures of the first message, and click one."""
    driver.execute_script("document.querySelector('.gestures').open = true")
    driver.find_element(By.CSS_SELECTOR, f".gestures [aria-label='{name}']").click()


async def test_a_small_screen_and_a_keyboard(browser: Browser) -> None:
    # A window has a minimum width; an emulated screen has none.
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
    await browser.see("her field", lambda driver: driver.switch_to.active_element == field(driver, "Carol"))
    await browser.do(lambda driver: driver.switch_to.active_element.send_keys("here I am", Keys.ENTER))
    await browser.see("an answer", lambda driver: len(texts(driver, "Carol")) == 2)
    width = await browser.do(lambda driver: driver.execute_script("return document.body.scrollWidth"))
    assert width <= 360


@pytest.mark.parametrize(
    ("seconds", "words"), [(10798, "3 h ahead"), (86399, "1 day ahead"), (5400, "1 h 30 min ahead"), (3, "")]
)
async def test_the_clock_is_ahead_by_whole_minutes(browser: Browser, seconds: float, words: str) -> None:
    script = (
        "const [ahead, done] = arguments; import('/page/clock.js').then(({ showTime }) => {"
        "  showTime({ now: Date.now() / 1000 + ahead, ahead, passes: true });"
        "  done(document.getElementById('clock-ahead').textContent);"
        "});"
    )
    assert await browser.do(lambda driver: driver.execute_async_script(script, seconds)) == words


MARKUP = [
    ("a *bold* b, _it_ ~st~ `co*d*e`.", {"strong": ["bold"], "em": ["it"], "s": ["st"], "code": ["co*d*e"]}),
    ("5*3=15 and 4*2=8 snake_case_name other_name_ 2 * 3 * 4", {}),
    ("https://github.com/x/y/blob/main/__init__.py", {"a": ["https://github.com/x/y/blob/main/__init__.py"]}),
    ("这是\u200a*重点*\u200a内容", {"strong": ["重点"]}),
    ("* a* and *b * and x*y*z ***c***", {}),
    ("_*both*_", {"em": ["both"], "strong": ["both"]}),
    ("*5 * 3 = 15*", {"strong": ["5 * 3 = 15"]}),
    ("`(a)*b*(c)` and `_x_`", {"code": ["(a)*b*(c)", "_x_"]}),
    ("> quoted\n- item *b*\n* star", {"blockquote": ["quoted"], "strong": ["b"]}),
    ("see:\n\n```\nx = *1*\ny\n```\n\nend", {"pre": ["x = *1*\ny"]}),
    ("```a ` b``` <b>raw</b>", {"code": ["a ` b"]}),
]


async def test_markup_is_shown_as_whatsapp_shows_it(browser: Browser, graph: Graph, emulators: Emulators) -> None:
    alice = next(iter(emulators.whatsapp.phones))
    await browser.say("Alice", "think")
    for text, _ in MARKUP:
        await graph.post(
            {"messaging_product": "whatsapp", "recipient": alice.user_id, "type": "text", "text": {"body": text}}
        )
    await browser.see("all", lambda driver: len(texts(driver, "Alice")) == len(MARKUP) + 1)
    read = (
        "return [...document.querySelectorAll('[role=log][aria-label^=Alice] .text')].slice(1).map((node) => "
        "[...node.querySelectorAll('strong, em, s, code, pre, a, blockquote')]"
        ".map((inner) => [inner.localName, inner.textContent]))"
    )
    marked = await browser.do(lambda driver: driver.execute_script(read))
    for (text, expected), found in zip(MARKUP, marked, strict=True):
        tags: dict[str, list[str]] = {}
        for tag, inner in found:
            tags.setdefault(tag, []).append(inner)
        assert (text, tags) == (text, expected)

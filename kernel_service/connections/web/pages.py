"""The connect pages: a sentence or two, at most one button, no script. Everything that is filled in is escaped."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from kernel_service import texts
from kernel_service.connections.consent import PageKind

if TYPE_CHECKING:
    from kernel_service.ports.connect_attempts import ConnectAttempt

_PAGE: Final = Template(Path(__file__).with_name("page").joinpath("page.html").read_text(encoding="utf-8"))
STYLE: Final = Path(__file__).with_name("page").joinpath("style.css").read_text(encoding="utf-8")

_ASK: Final = Template("""\
<p>This connects your $toolkit account to <span class="chat">$chat</span>, and to no other chat.</p>
<p class="quiet">Is that your own chat, and did you ask for this there just now? If another person sent you this
link, close this page: they could use your $toolkit account.</p>
$inside<form method="post"><button class="go">Continue to $toolkit</button></form>""")
_CODE: Final = Template("""\
<p>One step is left. Send this code in <span class="chat">$chat</span>:</p>
<p class="code">$code</p>
$open
<p class="quiet">The code works only in that chat, for ten minutes. Never read it out or send it to another person:
anyone who sends it in that chat can use your $toolkit account.</p>""")
_INSIDE_AN_APP: Final = """\
<p class="quiet">This page seems to be open inside an app. Some services do not let you sign in there, and you have to
finish in the browser in which you start. Before you continue, open this page in your browser: use the menu of the app,
or copy the link from your chat.</p>
"""
_OPEN: Final = Template('<a class="go" rel="noreferrer" href="$url">Open the chat with the code</a>')
_APPS: Final = ("FBAN/", "FBAV/", "FB_IAB/", "Instagram ", "WhatsApp/")
_PLAIN: Final = Template("<p>$text</p>")

_TITLES: Final = {
    PageKind.OTHER_BROWSER: "This link is in use",
    PageKind.WRONG_BROWSER: "Nothing was connected",
    PageKind.DENIED: "Not connected",
    PageKind.CONNECTED: "Connected",
    PageKind.ENDED: "This link is no longer valid",
    PageKind.UNKNOWN: "Nothing to connect here",
    PageKind.VENDOR_UNAVAILABLE: "Please try again",
    PageKind.RATE_LIMITED: "Too many requests",
}
_TEXTS: Final = {
    PageKind.OTHER_BROWSER: "It was opened in another browser. Continue there, or ask for a new link in your chat.",
    PageKind.WRONG_BROWSER: "This was started in another browser, so nothing is connected, and the access that you "
    "granted is removed. If another person sent you a link, they may have wanted your account: only open links from "
    "your own chat. If you started it yourself, go back to your chat: it says how to get a new link. Copy that link "
    "and open it here.",
    PageKind.DENIED: "Access was not granted, so nothing was connected. You can go back to your chat now.",
    PageKind.CONNECTED: "This account is connected. You can go back to your chat now.",
    PageKind.ENDED: "It was already used, or it has expired. Ask for a new one in your chat.",
    PageKind.UNKNOWN: "This address is not valid, or you started in another browser. "
    "Open the link from your chat again, and stay in the same browser.",
    PageKind.VENDOR_UNAVAILABLE: "A service that this page needs does not respond right now. Wait a moment, then open "
    "this page again.",
    PageKind.RATE_LIMITED: "Please wait a minute, then open this page again.",
}
_STATUS: Final = {
    PageKind.WRONG_BROWSER: HTTPStatus.FORBIDDEN,
    PageKind.OTHER_BROWSER: HTTPStatus.CONFLICT,
    PageKind.ENDED: HTTPStatus.GONE,
    PageKind.UNKNOWN: HTTPStatus.NOT_FOUND,
    PageKind.VENDOR_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    PageKind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
}


def status_of(kind: PageKind) -> HTTPStatus:
    return _STATUS.get(kind, HTTPStatus.OK)


def ask(attempt: ConnectAttempt, chat: str, user_agent: str = "") -> str:
    """`chat` names the chat, masked; `user_agent` is the header that the browser sent."""
    toolkit = escape(attempt.toolkit_name)
    inside = _INSIDE_AN_APP if is_inside_an_app(user_agent) else ""
    return _page(f"Connect {toolkit}", _ASK.substitute(toolkit=toolkit, chat=escape(chat), inside=inside))


def is_inside_an_app(user_agent: str) -> bool:
    """Whether an app shows the page itself: then the person's browser does not have what it stores.

    Android's WebView names itself `wv` (developer.android.com, "User-Agent in WebView"); WebKit's on iOS lacks the
    `Safari/` of the browsers there, and apps of Meta name themselves.
    """
    ios_view = "AppleWebKit/" in user_agent and "Mobile/" in user_agent and "Safari/" not in user_agent
    return "; wv)" in user_agent or ios_view or any(app in user_agent for app in _APPS)


def code(attempt: ConnectAttempt, chat: str, chat_link: str) -> str:
    """`chat_link` opens the chat with a text to send in place of `{text}`; empty: there is no such link."""
    toolkit = escape(attempt.toolkit_name)
    url = chat_link.replace("{text}", quote(texts.connecting.code_message(attempt.code), safe=""))
    open_chat = _OPEN.substitute(url=escape(url)) if chat_link else ""
    body = _CODE.substitute(toolkit=toolkit, chat=escape(chat), code=escape(attempt.code), open=open_chat)
    return _page(f"Almost there: {toolkit}", body)


def plain(kind: PageKind) -> str:
    return _page(_TITLES[kind], _PLAIN.substitute(text=_TEXTS[kind]))


def _page(title: str, body: str) -> str:
    return _PAGE.substitute(title=title, body=body)

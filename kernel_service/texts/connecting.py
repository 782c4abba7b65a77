"""The sentences in the chat about connecting an account, and the code that the person sends for it.

The pages that a browser shows on the way have their sentences in connections/web/pages.py.
"""

from __future__ import annotations

from typing import Final

CODE_UNKNOWN: Final = "I don't know that code. Please check it, or ask me for a new link."
TOO_MANY_WRONG_CODES: Final = (
    "There were too many wrong codes. To be safe, I stopped connecting the account. Ask me for a new link to try again."
)
CODE_OF_ANOTHER: Final = (
    "That code belongs to another person's chat, so nothing was connected, and the access that was granted is removed. "
    "If another person sent you the link, they may have wanted your account: only open links that I give you here."
)


def connected(toolkit: str, account: str = "") -> str:
    """`account`: what the person calls it, if they have several of the toolkit."""
    return f"{named(toolkit, account)} is connected."


def named(toolkit: str, account: str = "") -> str:
    """`Asana (work)`."""
    return f"{toolkit} ({account})" if account else toolkit


def connect_also(toolkit: str) -> str:
    """Above the button of each further account that a request needs."""
    return f"You also need to connect {toolkit}:"


def consent_denied(toolkit: str) -> str:
    return f"{toolkit} was not connected: access was not granted. To try again, ask me for a new link."


def code_never_came(toolkit: str) -> str:
    return f"{toolkit} was not connected: I did not get its code in time. To try again, ask me for a new link."


def code_too_late(toolkit: str) -> str:
    return f"That code for {toolkit} is no longer valid, so nothing was connected. Ask me for a new link."


def code_used_elsewhere(toolkit: str) -> str:
    return (
        f"Your link for {toolkit} was used by someone else, so I ended it, and nothing is connected. "
        "The link is only for you: please don't pass it on. Ask me for a new one."
    )


def link_in_two_browsers(toolkit: str) -> str:
    return (
        f"Your link for {toolkit} was opened in one browser and finished in another, so I ended it, and nothing is "
        "connected. If you passed it on: please don't, it is only for you. If you used both browsers yourself, write "
        f'"connect {toolkit}", copy the new link, and open it in the browser in which you sign in.'
    )


def connect_failed(toolkit: str) -> str:
    return f"{toolkit} could not be connected. To try again, ask me for a new link."


def connection_lost(toolkit: str) -> str:
    return f"Your {toolkit} account is no longer connected: its access has ended. Ask me to connect it again."


def code_message(code: str) -> str:
    """The message that the person sends back from the page: their chat opens with it typed in."""
    return f"Connect {code}"

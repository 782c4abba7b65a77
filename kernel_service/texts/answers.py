"""The answers of a turn for which the model has no answer, or for which no model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

REFUSED: Final = "I can't help with that."
CUT: Final = 'My answer got too long, so I stopped here. Write "go on" for the rest, or ask for a shorter answer.'
REST_IN_TEXT: Final = "The rest is in the text."
"""The end of a voice message that does not say the whole answer."""
TOO_MANY_STEPS: Final = (
    "This takes more steps than I can do at once, so I stopped before it was finished. "
    'Write "go on", or ask for a smaller part of it.'
)
TOO_LONG: Final = "This took too long, so I stopped before it was finished. Please ask for a smaller part of it."
FAILED: Final = "Something went wrong on my side, so I could not answer. Please try again, or ask in other words."
NO_ANSWER: Final = 'I have no answer to that. Please ask in other words, or write "new chat" to start over.'
NO_ANSWER_IN_TIME: Final = "I could not finish an answer to that. Please ask for a smaller part of it."
TOO_MUCH_AT_ONCE: Final = "That is more than I can read at once. Please send or ask for a smaller part."
ONLY_A_BUTTON: Final = "Please use this button:"
ONLY_A_FILE: Final = "Here it is."

STOPPED: Final = "Stopped. I'm not working on anything now. Anything that was already done stays done."
NOTHING_WAITS: Final = "Nothing is waiting for you. Write to me whenever you like."
NEW_CHAT: Final = "This is a new chat: I no longer see what we said before. Your connected accounts stay connected."


def no_words_after(tools: Iterable[str]) -> str:
    """For a person for whom these tools were called, and the model says nothing."""
    used = ", ".join(tools)
    return f"I used this: {used}. But I can't tell you the result. Please ask me about it, or check it yourself."


def link_warning(hosts: Iterable[str]) -> str:
    """Before an answer that has links to these sites, which the model put together from what it may have read."""
    return (
        f"⚠️ Be careful: this answer has a link to {', '.join(hosts)} that was not given to me in this form, and I have "
        "read content from others. Opening it may tell that site what we talk about or what I read. "
        "Open it only if you expect it."
    )

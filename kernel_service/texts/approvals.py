"""The sentences about actions that wait for a person's approval, and about standing permissions.

One vocabulary: a person *approves* or *refuses*, on buttons and in sentences. WhatsApp takes 20 characters on a button.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# --- buttons ----------------------------------------------------------------------------------------------------------

APPROVE: Final = "Approve"
APPROVE_ALL: Final = "Approve all"
ALWAYS_APPROVE: Final = "Always approve"
REFUSE: Final = "Refuse"
REFUSE_ALL: Final = "Refuse all"

# --- the prompt -------------------------------------------------------------------------------------------------------

QUESTION: Final = "Please confirm:"
WHY: Final = {
    "outside": "I ask because I have read content from others, such as a mail or a file.",
    "operator": "I ask because my operator's rules require it.",
    "effect": "I ask because this may delete, share, pay or reach others.",
    "effect_outside": "I ask because this may delete, share, pay or reach others, and I have read content from others.",
    "unknown": "I ask because I don't do this kind of action by myself.",
}
"""By ports.approvals.Reason."""
TITLES: Final = "These ids stand for:"
LONG: Final = "(This is long. Please read all of it before you answer.)"
UNNAMED: Final = "(I can't show you everybody whom this reaches. If you are not sure, refuse, and check first.)"
FILE: Final = "All details of the next question:"


def in_file(filename: str, kilobytes: int) -> str:
    """Before a prompt that does not show everything."""
    return f"(All details are in the file above: {filename}, {kilobytes} kB.)"


def cut(count: int) -> str:
    """Begins like no argument, as do the three texts below (see approvals.prompt)."""
    return f"… {count} characters left out"


def others_in_file(count: int) -> str:
    return f"… {count} more {'detail is' if count == 1 else 'details are'} in the file"


def decoded(names: Iterable[str]) -> str:
    """Addresses that a value holds in encoded form."""
    return f"… decoded: {', '.join(names)}"


def odd_letters(letters: str) -> str:
    return f"… with letters that look like others: {letters}"


def in_words(tool: str) -> str:
    """The name of a tool that has no title: `delete_note` is "Delete note"."""
    return tool.replace("_", " ").capitalize()


def with_account(tool: str, account: str) -> str:
    """`Asana update task, with Asana (work)`."""
    return f"{in_words(tool)}, with {account}" if account else in_words(tool)


# --- the decision -----------------------------------------------------------------------------------------------------

REFUSED: Final = "All right, I didn't do it."
WITHOUT_EFFECT: Final = {
    "lapsed": "This approval is too old, so I did nothing. Ask me again if you still want it.",
    "used": "You have already answered this, so I did nothing more.",
    "withdrawn": "This approval is no longer valid (you stopped me, or I asked you again), so I did nothing.",
    "unknown": "I don't know this approval, so I did nothing.",
    "forwarded": "A forwarded button approves nothing, so I did nothing.",
}
"""By the reason for which a tapped button had no effect."""

# --- standing permissions ---------------------------------------------------------------------------------------------

NO_PERMISSIONS: Final = (
    "You have not allowed me to do anything without asking. If you can allow an action, my question about it has the "
    f"button “{ALWAYS_APPROVE}”. This is never possible for what may delete, share, pay or reach others."
)


def permission_given(action: str) -> str:
    return f'From now on I do this without asking: {action}. Write "ask me again" to undo that.'


def permissions(actions: Iterable[str]) -> str:
    """The list, by the numbers that "ask me again 1" takes."""
    lines = "\n".join(f"{number}. {action}" for number, action in enumerate(actions, 1))
    return (
        f"You allow me to do this without asking:\n\n{lines}\n\n"
        'Write "ask me again" to undo all of it, or "ask me again 1" to undo only one. '
        "It never covers what may delete, share, pay or reach others. I also ask after I have read content from others."
    )

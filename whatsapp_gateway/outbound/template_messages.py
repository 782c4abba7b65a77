"""The messages of the templates: what WhatsApp approved, with the reminder's text in one line."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.markup.commonmark import to_blocks
from whatsapp_gateway.markup.graphemes import is_visible, shortened
from whatsapp_gateway.markup.splitting import pack
from whatsapp_gateway.model.invitations import OPENS_WINDOW
from whatsapp_gateway.outbound.rendering import Body

MOST_UNITS: Final = 600
"""Of the reminder's text: WhatsApp allows 1024 for the template's own words and its parameters together."""
NO_TEXT: Final = "⏰"
"""In place of a text that has nothing to show, or that WhatsApp refuses. A parameter is never empty."""


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template. language is as `en_US`.

    `plain` ones have no parameter. `takes_reminder`: the body's one parameter is the text of a reminder, and the first
    button is a quick reply.
    """

    name: str
    language: str
    takes_reminder: bool = False

    @property
    def kind(self) -> str:
        return "reminder" if self.takes_reminder else "plain"

    def texts(self, reminder: str) -> tuple[str, ...]:
        """The texts to try, the best first: WhatsApp may refuse the reminder's."""
        return tuple(dict.fromkeys((one_line(reminder), NO_TEXT))) if self.takes_reminder else ("",)

    def message(self, text: str) -> Body:
        """Without its recipient."""
        template: Body = {"name": self.name, "language": {"code": self.language}}
        if self.takes_reminder:
            template["components"] = [
                {"type": "body", "parameters": [{"type": "text", "text": text}]},
                {
                    "type": "button",
                    "sub_type": "quick_reply",
                    "index": "0",
                    "parameters": [{"type": "payload", "payload": OPENS_WINDOW}],
                },
            ]
        return {"type": "template", "template": template}


def one_line(text: str) -> str:
    """A reminder's CommonMark as a parameter: WhatsApp refuses line breaks, tabs, five spaces in a row, and no text."""
    shown = " ".join(pack(to_blocks(text), 4 * MOST_UNITS)[:1])
    plain = "".join(" " if unicodedata.category(char) == "Cc" else char for char in shown)
    line = shortened(" ".join(plain.split()), MOST_UNITS)
    return line if is_visible(line) else NO_TEXT

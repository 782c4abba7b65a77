"""The message templates of the business account, and Meta's checks of a send that uses one.

Sources: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes, and …/templates/ about
components, pausing and pacing; the details of 132018 as people report them.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from emulators.whatsapp.chat import ChatMessage, Choice
from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.shapes import BodyComponent, ButtonComponent, TemplateSend

BODY: Final = 1024
"""Of the body with its parameters, in UTF-16 code units."""
_PLACEHOLDER: Final = re.compile(r"\{\{\d+\}\}")
_LAYOUT: Final = re.compile(r"[\n\r\t]| {5}")
_UNUSABLE: Final = {
    "PENDING": (132001, "template name ({name}) does not exist in {language}"),
    "REJECTED": (132001, "template name ({name}) does not exist in {language}"),
    "PAUSED": (132015, "Template {name} is paused due to low quality."),
    "DISABLED": (132016, "Template {name} has been paused too many times due to low quality and is now disabled."),
}


@dataclass(slots=True)
class Template:
    """A template in one language. `status` is APPROVED, PENDING, REJECTED, PAUSED or DISABLED.

    `buttons` are the labels of its quick replies. `is_paced`: Meta holds what is sent until it knows how people react.
    """

    name: str
    language: str
    body: str = ""
    buttons: list[str] = field(default_factory=list)
    status: str = "APPROVED"
    is_paced: bool = False

    def check(self, send: TemplateSend) -> None:
        """Raises GraphError as Meta refuses the send."""
        if self.status in _UNUSABLE:
            code, details = _UNUSABLE[self.status]
            raise GraphError(code, details=details.format(name=self.name, language=self.language))
        texts = _texts(send)
        expected = len(_PLACEHOLDER.findall(self.body))
        if len(texts) != expected:
            details = (
                f"body: number of localizable_params ({len(texts)}) does not match the expected number of params"
                f" ({expected})"
            )
            raise GraphError(132000, details=details)
        for text in texts:
            _check_text(text)
        if len(self.said(send).encode("utf-16-le")) // 2 > BODY:
            raise GraphError(132005, details="Translated text is too long.")
        for button in _buttons(send):
            if int(button.index) >= len(self.buttons):
                raise GraphError(132018, details=f"buttons: Button at index {button.index} does not exist.")

    def said(self, send: TemplateSend) -> str:
        """The body as the person reads it."""
        texts = iter(_texts(send))
        return _PLACEHOLDER.sub(lambda _: next(texts), self.body)

    def show(self, message: ChatMessage, send: TemplateSend) -> None:
        """Put the words and the buttons into the bubble. A button without a payload returns its label."""
        payloads = {int(button.index): button.parameters[0].payload for button in _buttons(send)}
        message.text = self.said(send) or message.text
        message.choices = [Choice(payloads.get(place, label), label) for place, label in enumerate(self.buttons)]


class Templates:
    """The templates by name and language; `hello`, `come_back`, `waiting` and `reminder` exist from the start."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Template] = {}
        for template in (
            Template("hello", "en"),
            Template("hello", "en_US"),
            Template("come_back", "en_US"),
            Template("waiting", "en_US", body="There is an answer for you. Write to me, and you get it."),
            Template("reminder", "en_US", body="Your reminder: {{1}}", buttons=["Show"]),
        ):
            self.add(template)

    def add(self, template: Template) -> None:
        self._all[template.name, template.language] = template

    def all(self) -> list[Template]:
        return list(self._all.values())

    def get(self, name: str, language: str) -> Template:
        """Raises KeyError."""
        return self._all[name, language]

    def checked(self, send: TemplateSend) -> Template:
        """The template of a send. Raises GraphError as Meta refuses the send."""
        name, language = send.template.name, send.template.language.code
        template = self._all.get((name, language))
        if template is None:
            raise GraphError(132001, details=f"template name ({name}) does not exist in {language}")
        template.check(send)
        return template


def _texts(send: TemplateSend) -> list[str]:
    bodies = (component for component in send.template.components if isinstance(component, BodyComponent))
    return [parameter.text for body in bodies for parameter in body.parameters]


def _buttons(send: TemplateSend) -> list[ButtonComponent]:
    return [component for component in send.template.components if isinstance(component, ButtonComponent)]


def _check_text(text: str) -> None:
    if not text.strip():
        raise GraphError(131008, details="Parameter of type text is missing text value")
    if _LAYOUT.search(text):
        details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
        raise GraphError(132018, details=details)

"""The outcome of an accepted template: delivered, refused by a status, or held until Meta knows its quality."""

from dataclasses import dataclass
from typing import Any, Final

from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.errors import status_error
from emulators.whatsapp.phones import Phone
from emulators.whatsapp.statuses import EVERYBODY, Statuses
from emulators.whatsapp.templates import Template

HELD: Final = "held_for_quality_assessment"
_DETAILS: Final = {
    131042: "Message failed to send because there were one or more errors related to your payment method.",
    131049: "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    132015: "Template is paused due to low quality.",
}


@dataclass(slots=True)
class _Refusal:
    code: int
    times: int
    person: str


class TemplateOutcomes:
    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses
        self._refusals: list[_Refusal] = []
        self._held: list[tuple[Template, Phone, ChatMessage]] = []

    def fail(self, code: int, times: int = 1, *, person: str = EVERYBODY) -> None:
        """Accept the next templates to one person (a BSUID) or to all, and report each as failed with this code."""
        self._refusals.append(_Refusal(code, times, person))

    def deliver(self, template: Template, phone: Phone, message: ChatMessage) -> str:
        """Deliver an accepted template, or not. Returns the kind of its effect."""
        refusal = self._refusal_for(phone)
        if refusal is not None:
            refusal.times -= 1
            self._report_failed(phone, message, refusal.code)
            return "graph_send_failed"
        if template.is_paced:
            self._held.append((template, phone, message))
            return "graph_send_held"
        self._hand_over(phone, message)
        return "graph_send"

    def assess(self, template: Template, *, good: bool) -> None:
        """People's reactions to a held template are known: what is held is delivered, or dropped and it is paused."""
        template.is_paced = False
        template.status = template.status if good else "PAUSED"
        held, self._held = self._held, []
        for held_template, phone, message in held:
            if held_template is not template:
                self._held.append((held_template, phone, message))
            elif good:
                self._hand_over(phone, message)
            else:
                self._report_failed(phone, message, 132015)

    def _refusal_for(self, phone: Phone) -> _Refusal | None:
        meant = (EVERYBODY, phone.user_id)
        return next((each for each in self._refusals if each.times > 0 and each.person in meant), None)

    def _hand_over(self, phone: Phone, message: ChatMessage) -> None:
        phone.receive(message)
        self._statuses.report(phone, message, "sent")
        self._statuses.report(phone, message, "delivered")

    def _report_failed(self, phone: Phone, message: ChatMessage, code: int) -> None:
        self._statuses.report(phone, message, "failed", status_error(code, _DETAILS.get(code, "Refused on request.")))


def message_status(template: Template) -> dict[str, Any]:
    """The field beside the id of an accepted template."""
    return {"message_status": HELD if template.is_paced else "accepted"}

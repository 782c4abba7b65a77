"""Refusals of a template: whether another text or another template helps, and what the operator must do.

Codes: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from typing import Final

OF_THE_TEXT: Final = frozenset({"100", "131008", "131009", "132005", "132012", "132018"})
"""The reminder's text may be at fault, or the template that is to take it."""
OF_THE_TEMPLATE: Final = frozenset({"132000", "132001", "132007", "132015", "132016", "132068", "132069"}) | OF_THE_TEXT
"""WhatsApp refuses the template for each person."""
HELD: Final = frozenset({"held_for_quality_assessment", "paused"})
"""The states of an accepted template that is not sent yet."""

_FORM: Final = (
    "In WhatsApp Manager its body must have the parameters, and its buttons the order, that the README describes"
)
_HELD: Final = (
    "WhatsApp shows new templates, and those of low quality, to few people first. It delivers the others within an"
    " hour, or pauses the template"
)
_ADVICE: Final = {
    **dict.fromkeys(HELD, _HELD),
    "131026": "The person cannot receive it: their WhatsApp is too old, or they have not accepted the terms",
    "131042": "Settle the account's payment in WhatsApp Manager; until then templates wait",
    "131048": "The number's quality is low: see WhatsApp Manager, Phone numbers; until then templates wait",
    "131049": "WhatsApp limits marketing to each person: have the template approved as `utility`",
    "131050": "The person has stopped marketing messages: have the template approved as `utility`",
    "130472": "WhatsApp keeps marketing from people in its experiment: have the template approved as `utility`",
    "132000": _FORM,
    "132001": "In WhatsApp Manager it is missing or not approved in this language: check its name, language and status",
    "132005": "Its text and the reminder's exceed 1024 characters: shorten the text in WhatsApp Manager",
    "132007": "Its content violates WhatsApp's policy: change it in WhatsApp Manager",
    "132012": _FORM,
    "132015": "It is paused because of low quality: WhatsApp resumes it after 3 or 6 hours; improve it meanwhile",
    "132016": "It was paused too often and is disabled: create another one, and name it in the settings",
    "132018": _FORM,
}


def advice(code: str) -> str:
    """The remedy of an error, as a sentence for the operator."""
    return _ADVICE.get(code, "See the list of WhatsApp's error codes")

"""The operator's remedy for each error that the gateway cannot end by itself.

Codes: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from typing import Final

_MANAGER: Final = "in WhatsApp Manager"
_UTILITY: Final = "have the template approved as `utility`"
_FORM: Final = f"give the template {_MANAGER} the parameters and the buttons that docs/reference/whatsapp.md describes"
_TOKEN: Final = "make a new token for the system user and set WHATSAPP_ACCESS_TOKEN"  # noqa: S105
_PERMISSION: Final = (
    "give the system user the app, the WhatsApp account and the permission `whatsapp_business_messaging`; make a new"
    " token"
)
_HELD: Final = (
    "WhatsApp shows new templates, and those of low quality, to few people first; it delivers the others within an"
    " hour, or pauses the template"
)
_ADVICE: Final = {
    "0": _TOKEN,
    "3": _PERMISSION,
    "10": _PERMISSION,
    "33": "the number was deleted: check WHATSAPP_PHONE_NUMBER_ID",
    "100": "check WHATSAPP_PHONE_NUMBER_ID, and whether the token may use that number",
    "190": _TOKEN,
    "368": f"the account violates a policy: see Account alerts {_MANAGER}, and appeal there",
    "130472": f"WhatsApp keeps marketing from people in its experiment: {_UTILITY}",
    "130497": "WhatsApp's policy does not let this business write to people of that country",
    "131005": _PERMISSION,
    "131026": "the person cannot receive it: their WhatsApp is too old, or they have not accepted its terms",
    "131031": f"the account is locked: see Account alerts {_MANAGER}",
    "131037": f"the display name needs approval: see Phone numbers {_MANAGER}",
    "131042": f"settle the account's payment {_MANAGER}",
    "131045": f"register the number {_MANAGER}",
    "131048": f"the number's quality is low: see Phone numbers {_MANAGER}, and write to fewer people",
    "131049": f"WhatsApp limits marketing to each person: {_UTILITY}",
    "131050": f"the person has stopped marketing messages: {_UTILITY}",
    "131064": f"see the account's limits {_MANAGER}",
    "132000": _FORM,
    "132001": f"create the template {_MANAGER}, or have it approved, in the language that the setting names",
    "132005": f"shorten the template's text {_MANAGER}: with the reminder's it exceeds 1024 characters",
    "132007": f"change the template {_MANAGER}: its content violates a policy",
    "132012": _FORM,
    "132015": "improve the template: it is paused because of low quality, and resumed after 3 or 6 hours",
    "132016": "create another template and set its name: this one was paused too often and is disabled",
    "132018": _FORM,
    "133010": f"register the number {_MANAGER}",
    "held_for_quality_assessment": _HELD,
    "paused": _HELD,
}


def advice(code: str) -> str:
    """For an error code, or the state of an accepted template."""
    if code in _ADVICE:
        return _ADVICE[code]
    if code.startswith("http_"):
        return "the answer does not come from WhatsApp: check WHATSAPP_API_BASE_URL and the proxies"
    if code.startswith("2") and len(code) == len("200"):
        return _PERMISSION
    return "see the error codes of WhatsApp's documentation"

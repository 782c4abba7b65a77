"""Refusals in Meta's own JSON, and the table of its error codes.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from typing import Any, NamedTuple

from emulators.whatsapp.ids import trace_id


class Code(NamedTuple):
    """Meta's answer for one error code: HTTP status and title."""

    status: int
    title: str


CODES = {
    0: Code(401, "AuthException"),
    2: Code(503, "API Service"),
    4: Code(400, "API Too Many Calls"),
    10: Code(403, "API Permission Denied"),
    15: Code(400, "App Access Token Required"),
    100: Code(400, "Invalid parameter"),
    190: Code(401, "Access token has expired"),
    200: Code(403, "API Permission"),
    368: Code(403, "Temporarily blocked for policies violations"),
    80007: Code(400, "Rate limit issues"),
    130429: Code(429, "Rate limit hit"),
    130472: Code(400, "User's number is part of an experiment"),
    130497: Code(403, "Business account is restricted from messaging users in this country"),
    131000: Code(500, "Something went wrong"),
    131008: Code(400, "Required parameter is missing"),
    131009: Code(400, "Parameter value is not valid"),
    131016: Code(503, "Service unavailable"),
    131021: Code(400, "Recipient cannot be sender"),
    131026: Code(400, "Message undeliverable"),
    131030: Code(400, "Recipient phone number not in allowed list"),
    131031: Code(403, "Business Account has been locked"),
    131042: Code(400, "Business eligibility payment issue"),
    131047: Code(400, "Re-engagement message"),
    131048: Code(400, "Spam rate limit hit"),
    131049: Code(400, "This message was not delivered to maintain healthy ecosystem engagement"),
    131050: Code(400, "User has stopped marketing messages"),
    131051: Code(400, "Unsupported message type"),
    131052: Code(400, "Media download error"),
    131053: Code(400, "Media upload error"),
    131056: Code(400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: Code(500, "Account in maintenance mode"),
    132000: Code(400, "Number of parameters does not match the expected number of params"),
    132001: Code(404, "Template name does not exist in the translation"),
    132005: Code(400, "Translated text too long"),
    132007: Code(400, "Template content policy violated"),
    132012: Code(400, "Parameter format does not match format in the created template"),
    132015: Code(400, "Template is Paused"),
    132016: Code(400, "Template is Disabled"),
    132018: Code(400, "There's an issue with the parameters in your template"),
    133004: Code(503, "Server Temporarily Unavailable"),
}


class GraphError(Exception):
    """One refusal. `message` defaults to Meta's `(#code) title`; `details` say what to do."""

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        details: str = "",
        subcode: int | None = None,
        kind: str = "OAuthException",
    ) -> None:
        known = CODES.get(code, Code(400, "An unknown error occurred"))
        self.code = code
        self.status = known.status
        self.message = message or f"(#{code}) {known.title}"
        self.details = details
        self.subcode = subcode
        self.kind = kind
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON of Meta's answer."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        return {"error": error | {"fbtrace_id": trace_id()}}


def status_error(code: int, details: str) -> dict[str, Any]:
    """The error in a `failed` status."""
    title = CODES[code].title
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }

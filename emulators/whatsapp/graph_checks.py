"""Parses the JSON of a request, or refuses it as Meta does."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.ids import BSUID, PHONE
from emulators.whatsapp.shapes import (
    AudioSend,
    ButtonsSend,
    DocumentSend,
    ImageSend,
    LinkSend,
    ListSend,
    ReactionSend,
    Read,
    Send,
    StickerSend,
    TemplateSend,
    TextSend,
    VideoSend,
)

KINDS: dict[str, type[Send]] = {
    "text": TextSend,
    "reaction": ReactionSend,
    "template": TemplateSend,
    "image": ImageSend,
    "document": DocumentSend,
    "audio": AudioSend,
    "video": VideoSend,
    "sticker": StickerSend,
}
INTERACTIVE_KINDS: dict[str, type[Send]] = {"button": ButtonsSend, "list": ListSend, "cta_url": LinkSend}


def check_request(body: Any) -> Send | Read:
    """The checked request. Raises GraphError as Meta refuses it."""
    if not isinstance(body, dict) or "messaging_product" not in body:
        raise GraphError(100, "(#100) The parameter messaging_product is required.")
    shape = Read if "status" in body else _kind(body)
    try:
        request = shape.model_validate(body)
    except ValidationError as problem:
        raise _refusal(problem.errors(include_url=False)[0]) from None
    if isinstance(request, Send):
        _check_recipient(request)
    return request


def _kind(body: dict[str, Any]) -> type[Send]:
    kind = body.get("type", "text")
    if kind == "interactive":
        return _interactive_kind(body.get("interactive"))
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(name.upper() for name in sorted([*KINDS, "interactive"]))
        raise GraphError(100, f'(#100) Param type must be one of {{{known}}} - got "{kind}".')
    return KINDS[kind]


def _interactive_kind(interactive: Any) -> type[Send]:
    if not isinstance(interactive, dict):
        raise GraphError(131008, details="The parameter interactive is required.")
    kind = interactive.get("type")
    if not isinstance(kind, str) or kind not in INTERACTIVE_KINDS:
        raise GraphError(131009, details=f"Interactive type is not one of {', '.join(INTERACTIVE_KINDS)}.")
    return INTERACTIVE_KINDS[kind]


def _check_recipient(send: Send) -> None:
    if not send.to and not send.recipient:
        raise GraphError(100, "(#100) The parameter to is required.")
    # A BSUID in `to` passes, as at Meta: the send is accepted and then silently dropped.
    if send.to and not PHONE.fullmatch(send.to) and not BSUID.fullmatch(send.to):
        raise GraphError(131009, details="Param to is not a phone number.")
    if not send.to and not BSUID.fullmatch(send.recipient):
        raise GraphError(131009, details="Param recipient is not a business-scoped user ID.")


def _refusal(error: ErrorDetails) -> GraphError:
    top, *below = error["loc"] or ("message",)
    name = f"{top}" + "".join(f"[{step}]" if isinstance(step, int) else f"['{step}']" for step in below)
    if error["type"] == "missing":
        return GraphError(131008, details=f"The parameter {name} is required.")
    if error["type"] == "extra_forbidden":
        owner = name.removesuffix(f"['{below[-1]}']") if below else "messages"
        return GraphError(100, f'(#100) Unexpected key "{error["loc"][-1]}" on param "{owner}".')
    if error["type"] == "string_too_long":
        problem = f"Param {name} must be at most {error['ctx']['max_length']} characters long."
        # Meta reports the limits of interactive messages under a separate code.
        return GraphError(131009, details=problem) if top == "interactive" else GraphError(100, f"(#100) {problem}")
    return GraphError(131009, details=f"Param {name}: {error['msg']}.")

"""Selected choices and submitted forms: buttons, list rows, flows, orders."""

from typing import Any

import orjson

from whatsapp_gateway.inbound.fields import Object, object_in, objects_in, text_in
from whatsapp_gateway.model.invitations import OPENS_WINDOW
from whatsapp_gateway.model.updates import Choice, Opened, Unsupported


def read_interactive(message: Object) -> Choice | Unsupported | None:
    """A tapped button or list row, or a flow; `interactive` may be missing, with `errors` instead."""
    interactive = object_in(message, "interactive")
    kind = text_in(interactive, "type")
    reply = object_in(interactive, kind)
    match kind:
        case "button_reply" | "list_reply":
            choice = Choice(text_in(reply, "id"), text_in(reply, "title"), text_in(reply, "description"))
            return choice if choice.id else None
        case "nfm_reply":
            return _flow(reply)
    return Unsupported("interactive", kind[:64] if kind.isascii() else "") if kind else None


def _flow(reply: Object) -> Choice | None:
    """A form's answers. Their JSON comes as a string, and may hold anything."""
    written = text_in(reply, "response_json")
    if not written:
        return None
    return Choice(text_in(reply, "name") or "flow", text_in(reply, "body"), form_json=_as_object(written))


def _as_object(written: str) -> str:
    """The JSON of an object; any other value becomes the value of `response`."""
    try:
        value: Any = orjson.loads(written)
        return written if isinstance(value, dict) else orjson.dumps({"response": value}).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # Not JSON; or it nests so deep that it can be parsed but not serialised again.
        return orjson.dumps({"response": written}).decode()


def read_button(message: Object) -> Choice | Opened | None:
    """A tapped button of a template. That of our invitations only opens the window."""
    button = object_in(message, "button")
    if text_in(button, "payload") == OPENS_WINDOW:
        return Opened()
    title = text_in(button, "text")
    choice = Choice(text_in(button, "payload") or title, title)
    return choice if choice.id else None


def read_order(message: Object) -> Choice | None:
    """A submitted cart, as a form. None without items, or if one nests too deep to be serialised."""
    order = object_in(message, "order")
    items = objects_in(order, "product_items")
    if not items:
        return None
    form = {"catalog_id": text_in(order, "catalog_id"), "product_items": items}
    try:
        return Choice("order", "Order", text_in(order, "text"), orjson.dumps(form).decode())
    except orjson.JSONEncodeError:
        return None

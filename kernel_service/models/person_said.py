"""What a person sent, in plain words for a model: media by name, gestures as a sentence in brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MEDIA: Final = {
    "image": "an image",
    "audio": "a voice or sound message",
    "video": "a video",
    "document": "a file",
    "sticker": "a sticker",
}

MOST_QUOTED: Final = 500
"""Characters."""


def in_words(content: dict[str, Any]) -> str:
    """The payload (`content` as in Message) as one text, its caption below."""
    kind = next((kind for kind in content if kind in _MEDIA or kind in _KINDS), "")
    said = _media(kind, content[kind]) if kind in _MEDIA else _KINDS.get(kind, _unknown)(content.get(kind))
    beside = (_referral(content), _quote(content), _forwarded(content))
    return "\n".join(part for part in (*beside, said, content.get("caption", "")) if part)


def _referral(content: dict[str, Any]) -> str:
    """What led them to write; its words are somebody else's, and stand apart from their own."""
    referral = content.get("referral")
    if not referral:
        return ""
    told = ", ".join(part for part in map(referral.get, ("headline", "body", "url")) if part)
    return f"[The person came by this {referral.get('kind') or 'link'}: {told}]"


def _quote(content: dict[str, Any]) -> str:
    """What the message answers, in its words if they are known: so many of them as tell which it was."""
    if not content.get("quoted_message_id"):
        return ""
    if not (quoted := content.get("quoted")):
        return "[This answers an earlier message of the chat.]"
    said = in_words({name: value for name, value in quoted["content"].items() if name != "quoted_message_id"})
    short = said if len(said) <= MOST_QUOTED else f"{said[:MOST_QUOTED].rstrip()} …"
    who, when = "you" if quoted["ours"] else "the person", quoted.get("time")
    return f"[This answers what {who} said {f'on {when}' if when else 'before'}: “{short}”]"


def _forwarded(content: dict[str, Any]) -> str:
    return "[Passed on by the person; somebody else wrote what follows.]" if content.get("forwarded") else ""


def _media(kind: str, media: dict[str, Any]) -> str:
    """A file by its name; a voice message is what the person says."""
    if "transcript" in media:
        return _heard(kind, media)
    name = f" named {media['filename']}" if media.get("filename") else ""
    return f"[The person sent {_MEDIA[kind]}{name}{'' if 'media_id' in media else ', which cannot be opened'}.]"


def _heard(kind: str, media: dict[str, Any]) -> str:
    words = media["transcript"] or "[nothing can be heard in it]"
    if media.get("voice"):
        return f"(voice) {words}"
    return f"{_media(kind, {name: value for name, value in media.items() if name != 'transcript'})}\nIt says: {words}"


def _choice(choice: dict[str, Any]) -> str:
    parts = [choice.get("title") or choice.get("id", ""), choice.get("description"), choice.get("form_json")]
    return "\n".join(part for part in parts if part)


def _reaction(reaction: dict[str, Any]) -> str:
    emoji = reaction.get("emoji")
    if not emoji:
        return "[The person took a reaction back.]"
    return f"[The person reacted to a message with {emoji}]"


def _location(place: dict[str, Any]) -> str:
    where = ", ".join(part for part in (place.get("name"), place.get("address")) if part)
    at = f"{place.get('latitude', 0)}, {place.get('longitude', 0)}"
    return f"[The person sent a place: {where + ', ' if where else ''}latitude and longitude {at}]"


def _contacts(cards: dict[str, Any]) -> str:
    return "\n".join(["[The person sent address cards:]", *map(_card, cards.get("contacts", []))])


def _card(card: dict[str, Any]) -> str:
    parts = [card.get("name"), card.get("organization"), *card.get("phones", []), *card.get("emails", [])]
    return ", ".join(part for part in parts if part)


def _resumed(resumed: dict[str, Any]) -> str:
    """No words of the person: what they asked for earlier may go on."""
    return (
        f"[{resumed['toolkit']} is connected now. What waited for it stands above: the person's own messages, once "
        "more, and before them what you had noted. Do now what these messages ask for.]"
    )


def _decided(decided: dict[str, Any]) -> str:
    """No words of the person, but their button."""
    tools = ", ".join(decided["tools"])
    if decided["approved"]:
        return f"[The person approved {tools} with their button. It is done now, as they were asked:]"
    return f"[The person refused {tools} with their button. It was not done.]"


def _unknown(_: object) -> str:
    return "[The person sent something that cannot be shown here.]"


_KINDS: Final[dict[str, Callable[[Any], str]]] = {
    "text": str,
    "choice": _choice,
    "reaction": _reaction,
    "edit": lambda edit: f"[The person changed an earlier message; it now reads:]\n{edit.get('text', '')}",
    "resumed": _resumed,
    "decided": _decided,
    "revoke": lambda _: "[The person took an earlier message back. Act as if it had not been sent.]",
    "location": _location,
    "contacts": _contacts,
    "unsupported": _unknown,
}

"""Converts people's messages to the contract."""

from kernel.v1 import identity_pb2, media_pb2, messages_pb2

from whatsapp_gateway.bounds import cut
from whatsapp_gateway.model import updates as say


def message_request(message: say.Message, chat_url: str = "") -> messages_pb2.HandleMessageRequest:
    """The request for a message. `<chat_url>/<phone>?text=…` opens a chat with a prefilled text."""
    request = messages_pb2.HandleMessageRequest(
        user_id=message.sender.user_id,
        message_id=message.id,
        aliases=[alias(each) for each in message.sender.aliases],
        address=message.number,
        reply_mode=messages_pb2.REPLY_MODE_OUTBOX,
    )
    if chat_url and message.phone:
        request.chat_link = f"{chat_url}/{message.phone}?text={{text}}"
    _fill(request.payload, message)
    return request


def _fill(payload: messages_pb2.Payload, message: say.Message) -> None:
    _set_content(payload, message.content)
    if not cut(payload):  # if rejected, it would be redelivered for days without an answer
        payload.Clear()
        payload.unsupported.kind = "text_too_long"
    if message.quoted_id:
        payload.quoted_message_id = message.quoted_id
        if not cut(payload):
            payload.ClearField("quoted_message_id")
    payload.forwarded = message.forwarded
    if message.sent_at is not None:
        payload.sent_at.seconds = message.sent_at
    if (referral := message.referral) is not None:
        source = messages_pb2.Referral(
            kind=referral.kind, headline=referral.headline, body=referral.body, url=referral.url
        )
        cut(source)
        payload.referral.CopyFrom(source)


def _set_content(payload: messages_pb2.Payload, content: say.Content) -> None:
    match content:
        case say.Text(body):
            payload.text = body
        case say.Media():
            _set_media(payload, content)
        case say.Location(latitude, longitude, name, address):
            place = messages_pb2.Location(latitude=latitude, longitude=longitude, name=name, address=address)
            payload.location.CopyFrom(place)
        case say.Contacts(cards):
            payload.contacts.CopyFrom(messages_pb2.Contacts(contacts=[_card(card) for card in cards]))
        case say.Choice(choice_id, title, description, form):
            choice = messages_pb2.Choice(id=choice_id, title=title, description=description, form_json=form)
            payload.choice.CopyFrom(choice)
        case _:
            payload.CopyFrom(_wordless(content))


def _wordless(content: say.Reaction | say.Edit | say.Revoke | say.Opened | say.Unsupported) -> messages_pb2.Payload:
    """Actions without a message of the person, and content that cannot be passed on."""
    match content:
        case say.Reaction(message_id, emoji):
            return messages_pb2.Payload(reaction=messages_pb2.Reaction(message_id=message_id, emoji=emoji))
        case say.Edit(message_id, text):
            return messages_pb2.Payload(edit=messages_pb2.Edit(message_id=message_id, text=text))
        case say.Revoke(message_id):
            return messages_pb2.Payload(revoke=messages_pb2.Revoke(message_id=message_id))
        case say.Opened():
            return messages_pb2.Payload(opened=messages_pb2.Opened())
        case say.Unsupported(kind, detail):
            return messages_pb2.Payload(unsupported=messages_pb2.Unsupported(kind=kind, detail=detail))


def _set_media(payload: messages_pb2.Payload, media: say.Media) -> None:
    file = media_pb2.Media(
        mime_type=media.mime_type,
        filename=media.filename,
        media_ref=media.ref,
        sha256=media.sha256,
        size_bytes=media.size,
        voice=media.voice,
    )
    payload.caption = media.caption
    getattr(payload, media.kind).CopyFrom(file)


def _card(card: say.Contact) -> messages_pb2.Contact:
    return messages_pb2.Contact(name=card.name, phones=card.phones, emails=card.emails, organization=card.organization)


def alias(given: say.Alias) -> identity_pb2.Alias:
    strength = identity_pb2.ALIAS_STRENGTH_STRONG if given.strong else identity_pb2.ALIAS_STRENGTH_WEAK
    return identity_pb2.Alias(user_id=given.user_id, strength=strength)

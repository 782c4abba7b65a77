"""Converts the items of the outbox from the contract."""

from kernel.v1 import media_pb2, messages_pb2, outbox_pb2

from kernel_client.outbox_stream import OutboxStream
from whatsapp_gateway.model.outbox import Delivery, File, Link, MediaWanted, OfferedChoice, Reply, Typing


def item_of(response: outbox_pb2.PullOutboxResponse, stream: OutboxStream) -> Delivery | MediaWanted | Typing | None:
    """None: of a kind that is not known here. stream has just brought it."""
    kind = response.WhichOneof("item")
    if kind == "reply":
        return _delivery(response.reply, stream)
    if kind == "media_wanted":
        return _media_wanted(response.media_wanted)
    if kind == "typing":
        return Typing(response.typing.address, response.typing.user_id, response.typing.message_id)
    return None


def _media_wanted(wanted: media_pb2.MediaWanted) -> MediaWanted:
    return MediaWanted(
        media_id=wanted.media_id,
        media_ref=wanted.media_ref,
        lease_token=wanted.lease_token,
        max_bytes=wanted.max_bytes,
        sha256=wanted.sha256,
    )


def _delivery(leased: outbox_pb2.ReplyDelivery, stream: OutboxStream) -> Delivery:
    return Delivery(
        reply=_reply(leased.reply),
        user_id=leased.user_id,
        number=leased.address,
        lease_token=leased.lease_token,
        lease_ends=stream.lease_ends(leased.lease_for),
        sent_parts=frozenset(leased.split.sent_parts),
        parts=leased.split.parts,
        split_version=leased.split.version,
        has_next=leased.has_next,
        node_id=stream.node_id,
        trace_parent=leased.trace_parent,
        is_live=stream.is_live,
    )


def _reply(reply: messages_pb2.Reply) -> Reply:
    return Reply(
        id=reply.id,
        text=reply.text,
        link=_link(reply) if reply.HasField("link") else None,
        choices=tuple(OfferedChoice(choice.id, choice.title, choice.description) for choice in reply.choices),
        files=tuple(_file(media) for media in reply.media),
        reaction_to=reply.reaction.message_id,
        reaction=reply.reaction.emoji,
        quoted_id=reply.quoted_message_id,
        answers_id=reply.answers_message_id,
    )


def _link(reply: messages_pb2.Reply) -> Link:
    lasts = reply.link.expires_at.seconds - reply.created_at.seconds if reply.link.HasField("expires_at") else 0
    return Link(reply.link.url, reply.link.title, minutes=max(0, round(lasts / 60)))


def _file(media: media_pb2.Media) -> File:
    return File(media.media_ref, media.mime_type, media.filename, media.size_bytes, media.sha256, media.voice)

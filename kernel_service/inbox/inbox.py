"""The inbox: an accepted message is durable, and an INLINE caller waits for its turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kernel_service.errors import CallerError, NotAllowed, Unavailable
from kernel_service.media.incoming import holds_locked_file
from kernel_service.people.identity import check_user_id
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Answer, MessageStatus, ReplyMode
from kernel_service.ports.progress import ApprovalNeeded, ConnectNeeded
from kernel_service.ports.states.message import ENDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.cluster.placement import Placement
    from kernel_service.inbox.waiters import Waiters
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.ports.chats import ChatStore
    from kernel_service.ports.inbox import Accepted, InboxStore
    from kernel_service.ports.messages import Message
    from kernel_service.ports.progress import Event, Progress, TextEvent
    from kernel_service.ports.typing import TypingStatus

CHECKED_AT_ONCE: Final = 200
"""Messages in one statement."""
MOST_CHAT_LINKS: Final = 1000
LINK_SECONDS: Final = 60.0
"""For this time a node assumes that the last link that it stored is current. Another node may have replaced it."""


@dataclass(frozen=True, slots=True)
class Durable:
    """The first event of a message whose progress is watched."""

    duplicate: bool


class Inbox:
    """`allowed` decides whether a user id may write; `debounce` is in seconds.

    `media_wanted` is called with each channel that must fetch a file.
    """

    def __init__(  # noqa: PLR0917 - the receivers of messages
        self,
        store: InboxStore,
        chats: ChatStore,
        kernels: KernelMap,
        placement: Placement,
        waiters: Waiters,
        progress: Progress,
        *,
        allowed: Callable[[str], bool],
        debounce: float,
        max_pending: int,
        clock: Callable[[], float],
        media_wanted: Callable[[str], None],
        typing: TypingStatus,
    ) -> None:
        self._store = store
        self._chats = chats
        self._kernels = kernels
        self._placement = placement
        self._allowed = allowed
        self._debounce = debounce
        self._max_pending = max_pending
        self._clock = clock
        self._waiters = waiters
        self._progress = progress
        self._media_wanted = media_wanted
        self._typing = typing
        self._chat_links: dict[tuple[str, str], tuple[str, float]] = {}
        self._closed = False

    async def handle(self, message: Message) -> Answer:
        """Accept a message from its channel; see HandleMessage in the contract."""
        accepted = await self._accept(message)
        if message.reply_mode is ReplyMode.OUTBOX:
            return Answer(accepted.turn_id, accepted.status, accepted.duplicate, person_id=accepted.person_id)
        return await self._wait(accepted)

    async def stream(self, message: Message) -> AsyncIterator[Durable | Event | TextEvent | Answer]:
        """Accept a message and stream its events; see StreamMessage in the contract."""
        accepted = await self._accept(message)
        yield Durable(accepted.duplicate)
        reported: set[str] = set()
        with self._progress.watching(accepted.seq) as watcher:
            ended = asyncio.ensure_future(self._wait(accepted))
            ended.add_done_callback(lambda _: watcher.end())
            try:
                async for event in watcher.events():
                    if isinstance(event, ConnectNeeded | ApprovalNeeded):
                        reported.add(event.key)
                    yield event
                answer = ended.result()
            finally:
                ended.cancel()
        if self._waiters.has_others and answer.turn_id and accepted.status not in ENDED:
            for need in await self._store.needs_of(accepted.person_id, answer.turn_id):
                if need.key not in reported:  # the turn ran at another node
                    yield need
        yield answer if message.reply_mode is ReplyMode.INLINE else replace(answer, replies=())

    async def check_waiting(self) -> None:
        """Check for messages with callers that ended at another node without a notice."""
        waited = self._waiters.may_end_elsewhere
        for first in range(0, len(waited), CHECKED_AT_ONCE):
            self._waiters.ended(await self._store.ended_among(waited[first : first + CHECKED_AT_ONCE]))

    def person_deleted(self, _: str) -> None:
        """A person was deleted, and with them the links to chats that only they used, which are not tracked here."""
        self._chat_links.clear()

    def close(self) -> None:
        """Accept no further messages."""
        self._closed = True

    async def _accept(self, message: Message) -> Accepted:
        channel = message.channel
        self._check(message, channel)
        if message.payload.file is not None and await holds_locked_file(message.payload):
            message = replace(message, locked_file=True)
        accepted = await self._store.accept(message, now=self._clock(), max_pending=self._max_pending)
        if accepted.wants_media:
            self._media_wanted(channel)
        # Also for a repeat: its first call may have been cancelled just when the message became durable.
        if accepted.status is MessageStatus.ACCEPTED:
            self._typing.accepted(accepted.seq, message)
            self._kernels.arrived(accepted.person_id, None if accepted.has_moved else accepted.plain)
            pause = self._debounce if accepted.command is Command.NONE else 0.0
            self._placement.wake_at(accepted.person_id, self._clock() + pause, owner=accepted.owner)
        if accepted.withdrawn:
            self._waiters.withdrawn(accepted.withdrawn)
        # Not for a repeat of a message of a deleted person: an address may be theirs alone.
        if message.chat_link and accepted.person_id:
            await self._note_chat(accepted.person_id, channel, message.address, message.chat_link)
        return accepted

    async def _note_chat(self, person_id: str, channel: str, address: str, link: str) -> None:
        """Store how to open the chat. Each message carries it, and only a change is written."""
        chat, now = (channel, address), self._clock()
        known, until = self._chat_links.get(chat, ("", 0.0))
        if known == link and now < until:
            return
        if await self._chats.link(*chat) != link:
            await self._chats.keep_link(person_id, *chat, link)
        if len(self._chat_links) >= MOST_CHAT_LINKS:  # a channel may have an address for each person
            self._chat_links.clear()
        self._chat_links[chat] = link, now + LINK_SECONDS

    def _check(self, message: Message, channel: str) -> None:
        """Whether the message may be accepted; the API has checked its `user_id` for the caller's channel."""
        if self._closed:
            raise Unavailable("DRAINING", "this service is shutting down; the next one answers")
        for place, alias in enumerate(message.aliases):
            if alias.user_id == message.user_id:
                continue
            try:
                check_user_id(alias.user_id, channel)
            except CallerError as error:
                error.add_path(f"aliases[{place}]")
                raise
        if not self._allowed(message.user_id):
            raise NotAllowed("USER_NOT_ALLOWED", "this user is not on the operator's allow-list")

    async def _wait(self, accepted: Accepted) -> Answer:
        """The wait may be cancelled at any time (a deadline, a lost caller). The turn continues anyway."""
        if not accepted.person_id:
            return Answer("", accepted.status, accepted.duplicate)
        while True:
            with self._waiters.waiting(accepted.seq) as ended:
                answer = await self._store.answer_of(accepted.person_id, accepted.seq)
                if answer.status in ENDED:
                    return replace(answer, duplicate=accepted.duplicate, person_id=accepted.person_id)
                await ended

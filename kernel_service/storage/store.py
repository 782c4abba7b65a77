"""The store: each method of the port is one unit of work, handed to the engine of the database's URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from kernel_service.storage.admin import dead_letters, retention, turn_views
from kernel_service.storage.approvals.sql_approvals import SqlApprovals
from kernel_service.storage.connections import connect_attempts, connections, resumed_requests
from kernel_service.storage.engine import clock_floor
from kernel_service.storage.inbox import inbox
from kernel_service.storage.inbox.sql_quotes import SqlQuotes
from kernel_service.storage.kernels.sql_kernels import SqlKernels
from kernel_service.storage.keys import clear_ids, rotation
from kernel_service.storage.media import made_files, media, room
from kernel_service.storage.merging import linking, merging
from kernel_service.storage.outbox import replies
from kernel_service.storage.outbox.sql_outbox import SqlOutbox
from kernel_service.storage.people import chats, people, time_zones
from kernel_service.storage.turns.sql_context import SqlContext
from kernel_service.storage.turns.sql_turns import SqlTurns
from kernel_service.storage.usage.sql_spending import SqlSpending

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from kernel_service.ports.admin import DeadLetter, KeyUse, ReplyView, Rotated, TurnSummary
    from kernel_service.ports.connect_attempts import ConnectAttempt, ConnectAttemptKey, ConnectAttemptState
    from kernel_service.ports.connections import Connection, ConnectionStatus
    from kernel_service.ports.inbox import Accepted
    from kernel_service.ports.media import FileProblem, MediaAck, MediaQuota, MediaWanted, Settled, StoredFile, Upload
    from kernel_service.ports.messages import Alias, Answer, Message, Notice, Usage
    from kernel_service.ports.people import Linked
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.retention import RetentionPolicy
    from kernel_service.ports.turns import (
        TurnMessage,
    )
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Engine

_PING = text("SELECT 1")


class Store:
    """Fills Store, MediaStore, PeopleStore and ConnectionStore. Made by `store.open_store`.

    `media_quota` is the most that it keeps of files; after `silence` a weak id finds nobody.
    """

    def __init__(
        self, engine: Engine, media_quota: MediaQuota, silence: WeakIdExpiry, keeping: RetentionPolicy
    ) -> None:
        self._keeping = keeping
        self._silence = silence
        self._engine = engine
        self._media_quota = media_quota
        self.outbox = SqlOutbox(engine)
        self.kernels = SqlKernels(engine)
        self.turns = SqlTurns(engine)
        self.context = SqlContext(engine)
        self.quotes = SqlQuotes(engine)
        self.approvals = SqlApprovals(engine)
        self.spending = SqlSpending(engine)

    # --- the inbox

    async def accept(self, message: Message, *, now: float, max_pending: int) -> Accepted:
        # The person is not known yet; what one id sends stays in order all the same.
        return await self._engine.write(
            lambda tx: inbox.accept(
                tx,
                message,
                now=now,
                max_pending=max_pending,
                quota=self._media_quota,
                silence=self._silence,
            ),
            message.user_id,
        )

    async def answer_of(self, person_id: str, seq: int) -> Answer:
        return await self._engine.read(lambda tx: inbox.answer_of(tx, person_id, seq))

    async def person_of(self, user_id: str, *, now: float) -> str | None:
        return await self._engine.read(lambda tx: people.person_of(tx, user_id, now, self._silence))

    async def bearer_of(self, user_id: str) -> str | None:
        return await self._engine.read(lambda tx: people.bearer_of(tx, user_id))

    async def keep_time_zone(self, person_id: str, name: str) -> None:
        await self._engine.write(lambda tx: time_zones.keep(tx, person_id, name), person_id)

    async def last_route(self, person_id: str) -> tuple[str, str] | None:
        return await self._engine.read(lambda tx: inbox.last_route(tx, person_id))

    async def due_people(self, *, now: float, limit: int) -> list[str]:
        return await self._engine.read(lambda tx: inbox.due_people(tx, now=now, limit=limit))

    async def aliases_of(self, person_id: str) -> list[Alias]:
        return await self._engine.read(lambda tx: people.aliases_of(tx, person_id))

    # --- people

    async def link(self, previous: Alias, current: Alias, *, now: float) -> Linked:
        # One after the other: which of two came too early for the other must be certain.
        return await self._engine.write(
            lambda tx: linking.link(tx, previous, current, now=now, silence=self._silence), "links"
        )

    async def merge(self, one_id: str, other_id: str, *, now: float) -> Linked:
        return await self._engine.write(lambda tx: merging.merge(tx, one_id, other_id, now=now), one_id)

    async def surviving(self, person_id: str) -> str:
        return await self._engine.read(lambda tx: people.surviving(tx, person_id))

    async def kept_apart_from(self, person_id: str) -> list[str]:
        return await self._engine.read(lambda tx: merging.kept_apart_from(tx, person_id))

    async def kept_apart_pairs(self) -> int:
        return await self._engine.read(merging.kept_apart_pairs)

    # --- the journal

    async def turn_summaries(
        self, person_id: str, *, limit: int, before: str
    ) -> tuple[list[TurnSummary], list[tuple[int, float]], str]:
        return await self._engine.read(lambda tx: turn_views.turns(tx, person_id, limit=limit, before=before))

    async def dead_letters(self, person_id: str | None, *, limit: int, before: str) -> tuple[list[DeadLetter], str]:
        return await self._engine.read(lambda tx: dead_letters.dead_letters(tx, person_id, limit=limit, before=before))

    async def requeue(self, dead_letter_id: str, *, now: float) -> str:
        return await self._engine.write(lambda tx: dead_letters.requeue(tx, dead_letter_id, now=now))

    async def replies(self, person_id: str, *, limit: int, before: str) -> tuple[list[ReplyView], str]:
        return await self._engine.read(lambda tx: replies.replies(tx, person_id, limit=limit, before=before))

    # --- files

    async def lease_media(
        self, channel: str, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[MediaWanted]:
        return await self._engine.write(
            lambda tx: media.lease(tx, channel, addresses, limit=limit, seconds=seconds, now=now), channel
        )

    async def unlease_media(self, leases: Sequence[tuple[str, str]]) -> None:
        await self._engine.write(lambda tx: media.unlease(tx, leases))

    async def settle_media(self, channel: str, acks: Sequence[MediaAck], *, now: float) -> list[Settled]:
        return await self._engine.write(lambda tx: media.settle(tx, channel, acks, now=now), channel)

    async def begin_upload(self, channel: str, media_id: str, token: str, *, now: float) -> Upload:
        return await self._engine.write_apart(lambda tx: media.begin_upload(tx, channel, media_id, token, now=now))

    async def add_chunk(self, upload: Upload, number: int, data: bytes) -> None:
        await self._engine.write_apart(lambda tx: media.add_chunk(tx, upload, number, data, quota=self._media_quota))

    async def note_full(self, upload: Upload) -> None:
        await self._engine.write_apart(lambda tx: room.note_full(tx, upload.media_id))

    async def drop_upload(self, upload: Upload) -> None:
        await self._engine.write_apart(lambda tx: media.drop_upload(tx, upload))

    async def end_upload(self, upload: Upload, *, chunks: int, mime_type: str, problem: FileProblem) -> str:
        return await self._engine.write(
            lambda tx: media.end_upload(tx, upload, chunks=chunks, mime_type=mime_type, problem=problem)
        )

    async def files(self, media_ids: Sequence[str]) -> dict[str, StoredFile]:
        return await self._engine.read(lambda tx: media.files(tx, media_ids))

    async def chunk(self, media_id: str, number: int) -> bytes:
        return await self._engine.read(lambda tx: media.chunk(tx, media_id, number))

    async def keep_transcript(
        self, media_id: str, text: str, usage: Usage, *, settles: Sequence[str] = (), now: float
    ) -> None:
        await self._engine.write(lambda tx: media.keep_transcript(tx, media_id, text, usage, settles=settles, now=now))

    async def spoil(self, media_id: str, problem: FileProblem) -> None:
        await self._engine.write(lambda tx: media.spoil(tx, media_id, problem))

    async def keep_made(self, person_id: str, message: TurnMessage, size: int, *, now: float) -> str:
        return await self._engine.write(
            lambda tx: made_files.keep(tx, person_id, message, size, now=now, quota=self._media_quota), person_id
        )

    async def add_made_chunk(self, media_id: str, number: int, data: bytes) -> None:
        await self._engine.write_apart(lambda tx: made_files.add_chunk(tx, media_id, number, data))

    async def made_chunks(self, channel: str, media_id: str) -> int:
        return await self._engine.read(lambda tx: made_files.chunks(tx, channel, media_id))

    async def sweep_media(self, *, now: float) -> int:
        return await self._engine.write_apart(lambda tx: media.sweep(tx, now=now))

    # --- sessions and connections

    async def session_of(self, person_id: str) -> tuple[str, str] | None:
        return await self._engine.read(lambda tx: connections.session_of(tx, person_id))

    async def keep_session(self, person_id: str, session_id: str, configuration: str) -> str:
        return await self._engine.write(
            lambda tx: connections.keep_session(tx, person_id, session_id, configuration), person_id
        )

    async def connections(self, person_id: str) -> list[Connection]:
        return await self._engine.read(lambda tx: connections.connections(tx, person_id))

    async def connection_of_account(self, account_id: str) -> Connection | None:
        return await self._engine.read(lambda tx: connections.connection_of_account(tx, account_id))

    async def bar_connection(
        self, connection: Connection, to: ConnectionStatus, *, remove: bool, notice: Notice | None = None
    ) -> Connection | None:
        return await self._engine.write(
            lambda tx: connections.bar(tx, connection, to, remove=remove, notice=notice), connection.person_id
        )

    async def accounts_to_remove(self, *, after: str = "", limit: int) -> Sequence[Connection]:
        return await self._engine.read(lambda tx: connections.to_remove(tx, after=after, limit=limit))

    async def account_removed(self, connection_id: str) -> None:
        await self._engine.write(lambda tx: connections.removed(tx, connection_id))

    # --- attempts to connect

    async def key_for(self, purpose: str) -> bytes:
        """A secret key for one purpose, the same in every process on the database; 32 bytes."""
        return await self._engine.read(lambda tx: tx.digests.key_for(purpose))

    async def add_attempt(self, attempt: ConnectAttempt, *, now: float) -> None:
        await self._engine.write(lambda tx: connect_attempts.add(tx, attempt, now=now), attempt.person_id)

    async def attempt_by(self, key: ConnectAttemptKey, digest: bytes) -> ConnectAttempt | None:
        return await self._engine.read(lambda tx: connect_attempts.by(tx, key, digest))

    async def attempts_in_browser(self, browser_digest: bytes) -> list[ConnectAttempt]:
        return await self._engine.read(lambda tx: connect_attempts.in_browser(tx, browser_digest))

    async def stray_session(self, session_digest: bytes) -> bool:
        return await self._engine.read(lambda tx: connect_attempts.stray(tx, session_digest))

    async def note_stray_session(self, session_digest: bytes, *, now: float) -> None:
        await self._engine.write(lambda tx: connect_attempts.note_stray(tx, session_digest, now=now))

    async def live_attempts(self, person_id: str) -> list[ConnectAttempt]:
        return await self._engine.read(lambda tx: connect_attempts.live(tx, person_id))

    async def lapsing_attempts(self, *, now: float, after: str = "", limit: int) -> Sequence[str]:
        return await self._engine.read(lambda tx: connect_attempts.lapsing(tx, now=now, after=after, limit=limit))

    async def lapsing_attempt(self, connection_id: str, *, now: float) -> ConnectAttempt | None:
        return await self._engine.read(lambda tx: connect_attempts.lapsing_one(tx, connection_id, now=now))

    async def advance(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, notice: Notice | None = None) -> bool:
        whose = await self._engine.write(
            lambda tx: connect_attempts.advance(tx, attempt, was=was, notice=notice), attempt.person_id
        )
        return whose is not None

    async def confirm(self, attempt: ConnectAttempt, *, was: ConnectAttemptState, seq: int, now: float) -> bool:
        return await self._engine.write(
            lambda tx: connect_attempts.confirm(tx, attempt, was=was, seq=seq, now=now), attempt.person_id
        )

    async def count_wrong_code(self, person_id: str) -> list[ConnectAttempt]:
        return await self._engine.write(lambda tx: connect_attempts.count_wrong_code(tx, person_id), person_id)

    async def resumed_by(self, person_id: str, seq: int) -> list[ParkedRequest]:
        return await self._engine.read(lambda tx: resumed_requests.resumed_by(tx, person_id, seq))

    async def ids_in(self, person_id: str, channel: str) -> list[Alias]:
        known = await self._engine.read(lambda tx: people.aliases_of(tx, person_id))
        return [one for one in known if one.user_id.startswith(f"{channel}:")]

    # --- chats

    async def chat_link(self, channel: str, address: str) -> str:
        return await self._engine.read(lambda tx: chats.link_of(tx, channel, address))

    async def keep_chat_link(self, channel: str, address: str, link: str) -> None:
        await self._engine.write(lambda tx: chats.keep(tx, channel, address, link), f"{channel}:{address}")

    # --- keys

    async def key_use(self) -> tuple[list[KeyUse], int]:
        return await self._engine.read(rotation.key_use)

    def rotate_keys(self) -> AsyncGenerator[Rotated]:
        return rotation.rotate(self._engine)

    # --- the store itself

    async def forget_old(self, *, now: float) -> int:
        return await retention.forget_old(self._engine, self._keeping, now=now)

    async def seal_clear_ids(self) -> int:
        return await clear_ids.seal(self._engine)

    async def newest_time(self) -> float:
        return await self._engine.read(clock_floor.newest_time)

    async def ping(self) -> None:
        """StoreUnavailable."""
        await self._engine.read(lambda tx: tx.execute(_PING).close())

    async def close(self) -> None:
        await self._engine.close()

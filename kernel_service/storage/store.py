"""The only durable store: one class for each port, all on one engine. `open_store` creates it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from kernel_service.storage.admin.sql_admin import SqlAdmin
from kernel_service.storage.admin.sql_retention import SqlRetention
from kernel_service.storage.approvals.sql_approvals import SqlApprovals
from kernel_service.storage.connections.sql_connect_attempts import SqlConnectAttempts
from kernel_service.storage.connections.sql_connections import SqlConnections
from kernel_service.storage.connections.sql_sessions import SqlSessions
from kernel_service.storage.connections.sql_unmatched_sessions import SqlUnmatchedSessions
from kernel_service.storage.deleting.revocations import SqlRevocations
from kernel_service.storage.deleting.sql_deletion import SqlDeletion
from kernel_service.storage.engine import clock_floor
from kernel_service.storage.exporting.sql_exports import SqlExports
from kernel_service.storage.inbox.sql_inbox import SqlInbox
from kernel_service.storage.inbox.sql_quotes import SqlQuotes
from kernel_service.storage.kernels.sql_kernels import SqlKernels
from kernel_service.storage.keys.sql_keys import SqlKeys
from kernel_service.storage.media.sql_files import SqlFiles
from kernel_service.storage.media.sql_made_files import SqlMadeFiles
from kernel_service.storage.media.sql_media import SqlMedia
from kernel_service.storage.merging.sql_merging import SqlMerging
from kernel_service.storage.nodes.sql_nodes import SqlNodes
from kernel_service.storage.outbox.sql_invitations import SqlInvitations
from kernel_service.storage.outbox.sql_outbox import SqlOutbox
from kernel_service.storage.people.sql_chats import SqlChats
from kernel_service.storage.people.sql_memory import SqlMemory
from kernel_service.storage.people.sql_people import SqlPeople
from kernel_service.storage.schedules.sql_schedules import SqlSchedules
from kernel_service.storage.triggers.sql_triggers import SqlTriggers
from kernel_service.storage.turns.sql_context import SqlContext
from kernel_service.storage.turns.sql_turns import SqlTurns
from kernel_service.storage.usage.sql_spending import SqlSpending

if TYPE_CHECKING:
    from kernel_service.ports.admin import AdminStore
    from kernel_service.ports.approvals import ApprovalStore
    from kernel_service.ports.chats import ChatStore
    from kernel_service.ports.connect_attempts import ConnectAttemptStore, UnmatchedSessionStore
    from kernel_service.ports.connections import ConnectionStore, SessionStore
    from kernel_service.ports.context import ContextStore
    from kernel_service.ports.deletion import DeletionStore, RevocationStore
    from kernel_service.ports.exporting import ExportStore
    from kernel_service.ports.inbox import InboxStore
    from kernel_service.ports.invitations import InvitationStore
    from kernel_service.ports.kernels import KernelStore
    from kernel_service.ports.keys import KeyStore
    from kernel_service.ports.media import FileStore, MadeFileStore, MediaQuota, MediaStore
    from kernel_service.ports.memory import MemoryStore
    from kernel_service.ports.nodes import NodeStore
    from kernel_service.ports.outbox import OutboxStore
    from kernel_service.ports.people import MergingStore, PeopleStore
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.retention import RetentionPolicy, RetentionStore
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.spending import SpendingStore
    from kernel_service.ports.triggers import TriggerStore
    from kernel_service.ports.turns import TurnStore
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.schedules.limits import ScheduleLimits
    from kernel_service.storage.engine.engine import Engine

_PING = text("SELECT 1")


@dataclass(frozen=True, slots=True)
class Store:
    """The id of a merged person always refers to the person into whom they were merged."""

    engine: Engine
    inbox: InboxStore
    people: PeopleStore
    merging: MergingStore
    deletion: DeletionStore
    revocations: RevocationStore
    chats: ChatStore
    memory: MemoryStore
    kernels: KernelStore
    turns: TurnStore
    context: ContextStore
    quotes: QuoteStore
    approvals: ApprovalStore
    outbox: OutboxStore
    invitations: InvitationStore
    media: MediaStore
    files: FileStore
    made_files: MadeFileStore
    sessions: SessionStore
    connections: ConnectionStore
    connect_attempts: ConnectAttemptStore
    unmatched_sessions: UnmatchedSessionStore
    schedules: ScheduleStore
    triggers: TriggerStore
    spending: SpendingStore
    admin: AdminStore
    exports: ExportStore
    keys: KeyStore
    nodes: NodeStore
    retention: RetentionStore

    @classmethod
    def on(
        cls,
        engine: Engine,
        quota: MediaQuota,
        weak_ids: WeakIdExpiry,
        retention: RetentionPolicy,
        schedules: ScheduleLimits,
    ) -> Store:
        """`quota` bounds the stored files; an id that has expired under `weak_ids` matches no person."""
        return cls(
            engine=engine,
            inbox=SqlInbox(engine, quota, weak_ids),
            people=SqlPeople(engine, weak_ids),
            merging=SqlMerging(engine, weak_ids),
            deletion=SqlDeletion(engine),
            revocations=SqlRevocations(engine),
            chats=SqlChats(engine),
            memory=SqlMemory(engine),
            kernels=SqlKernels(engine),
            turns=SqlTurns(engine),
            context=SqlContext(engine),
            quotes=SqlQuotes(engine),
            approvals=SqlApprovals(engine),
            outbox=SqlOutbox(engine),
            invitations=SqlInvitations(engine),
            media=SqlMedia(engine, quota),
            files=SqlFiles(engine),
            made_files=SqlMadeFiles(engine, quota),
            sessions=SqlSessions(engine),
            connections=SqlConnections(engine),
            connect_attempts=SqlConnectAttempts(engine),
            unmatched_sessions=SqlUnmatchedSessions(engine),
            schedules=SqlSchedules(engine, schedules),
            triggers=SqlTriggers(engine),
            spending=SqlSpending(engine),
            admin=SqlAdmin(engine),
            exports=SqlExports(engine),
            keys=SqlKeys(engine),
            nodes=SqlNodes(engine),
            retention=SqlRetention(engine, retention),
        )

    async def newest_time(self) -> float:
        """The newest stored time, in epoch seconds. The clock of a later process must not be earlier. 0: the store is
        empty.
        """
        return await self.engine.read(clock_floor.newest_time)

    async def ping(self) -> None:
        """Raises `StoreUnavailable`."""
        await self.engine.read(lambda tx: tx.execute(_PING).close())

    async def close(self) -> None:
        await self.engine.close()

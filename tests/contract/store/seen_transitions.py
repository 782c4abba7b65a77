"""Every transition that a real database makes, recorded by triggers, which no statement can bypass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from kernel_service.ports.states.connect_attempt import CONNECT_ATTEMPT
from kernel_service.ports.states.media import MEDIA
from kernel_service.ports.states.message import MESSAGE
from kernel_service.ports.states.part import PART
from kernel_service.ports.states.reply import REPLY
from kernel_service.ports.states.turn import TURN

if TYPE_CHECKING:
    from kernel_service.ports.states.state_machine import StateMachine
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

WATCHED: Final[dict[tuple[str, str], StateMachine[Any]]] = {
    ("message", "status"): MESSAGE,
    ("turn", "status"): TURN,
    ("reply", "state"): REPLY,
    ("reply_part", "receipt"): PART,
    ("connect_attempt", "state"): CONNECT_ATTEMPT,
    ("media", "state"): MEDIA,
}
_SQLITE: Final = """CREATE TRIGGER seen_{table} AFTER UPDATE OF {column} ON {table} WHEN OLD.{column} <> NEW.{column}
    BEGIN INSERT INTO seen_transition VALUES ('{table}', OLD.{column}, NEW.{column}); END"""
_POSTGRESQL: Final = (
    """CREATE FUNCTION seen_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO seen_transition VALUES ('{table}', OLD.{column}, NEW.{column}); RETURN NULL; END $$""",
    """CREATE TRIGGER seen_{table} AFTER UPDATE ON {table} FOR EACH ROW
    WHEN (OLD.{column} <> NEW.{column}) EXECUTE FUNCTION seen_{table}()""",
)


async def watch(store: Store) -> None:
    """Start recording every transition of the store."""
    await store.engine.write(_install)


def _install(tx: Tx) -> None:
    tx.execute(text("CREATE TABLE seen_transition (of_table TEXT, source TEXT, target TEXT)"))
    for table, column in WATCHED:
        for statement in _POSTGRESQL if tx.connection.dialect.name == "postgresql" else (_SQLITE,):
            tx.execute(text(statement.format(table=table, column=column)))


async def check_transitions(store: Store) -> dict[str, set[tuple[str, str]]]:
    """The recorded transitions by table. Raises `AssertionError` if a transition table lacks one of them."""
    rows = await store.engine.read(
        lambda tx: tx.execute(text("SELECT DISTINCT of_table, source, target FROM seen_transition")).all()
    )
    seen: dict[str, set[tuple[str, str]]] = {table: set() for table, _ in WATCHED}
    for row in rows:
        seen[row.of_table].add((row.source, row.target))
    for (table, _), machine in WATCHED.items():
        for source, target in seen[table]:
            assert machine.allows(machine.states(source), machine.states(target)), (table, source, target)
    return seen

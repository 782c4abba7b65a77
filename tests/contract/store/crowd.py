"""A database after long use: many people, each with ids, messages, answers, accounts and days of usage.

The database generates their rows itself. None of them is sealed, because no test reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, LargeBinary, String, cast, insert, literal, select, text, true

from kernel_service.storage.schema import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import CTE, ColumnElement, Connection, Table

PEOPLE: Final = 100_000
CONNECTED: Final = 20_000
"""How many of them have connected an account, been asked for an approval, had a message given up, and so on."""
DAY_SECONDS: Final = 86_400


def fill(connection: Connection, *, now: float) -> None:
    """Add them to an empty database."""
    if connection.dialect.name == "postgresql":  # the foreign keys are valid, and are not checked
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    for rows, count in ((_of_all, PEOPLE), (_of_connected, CONNECTED)):
        numbers = _numbers(count)
        _insert(connection, numbers, rows(numbers.c.n, now - 3600))


def lengthen(connection: Connection, person_id: str, *, now: float, by: int = 5_000) -> None:
    """Give a person a long history: `count` answered messages, each in a separate turn."""
    numbers = _numbers(by)
    n, old, own = numbers.c.n, now - 3600, {"person_id": person_id}
    past = {
        schema.message: _message(n, old) | own | {"message_id": _name("long", n), "turn_id": _name("t_long", n)},
        schema.turn: _turn(n, old) | own | {"id": _name("t_long", n)},
        schema.reply: _reply(n, old) | own | {"id": _name("rp_long", n), "turn_id": _name("t_long", n)},
    }
    _insert(connection, numbers, past)


def _insert(connection: Connection, numbers: CTE, rows: Mapping[Table, Mapping[str, Any]]) -> None:
    for table, values in rows.items():
        columns = [(value if hasattr(value, "label") else literal(value)).label(name) for name, value in values.items()]
        connection.execute(insert(table).from_select(list(values), select(*columns).select_from(numbers)))


def _numbers(count: int) -> CTE:
    """1 to `count`, in the column `n`."""
    first = select(literal(1, Integer).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count))


def _name(prefix: str, n: ColumnElement[int]) -> ColumnElement[str]:
    return literal(prefix, String) + cast(n, String)


def _bytes(prefix: str, n: ColumnElement[int]) -> ColumnElement[bytes]:
    return cast(_name(prefix, n), LargeBinary)


def _message(n: ColumnElement[int], old: float) -> dict[str, Any]:
    return {
        "person_id": _name("p_", n),
        "channel": "test",
        "address": "desk",
        "user_digest": _bytes("strong", n),
        "message_id": _name("m", n),
        "payload_digest": b"digest",
        "reply_mode": "outbox",
        "payload": b"payload",
        "accepted_at": old,
        "status": "completed",
        "turn_id": _name("t_", n),
    }


def _turn(n: ColumnElement[int], old: float) -> dict[str, Any]:
    ended = {"status": "completed", "started_at": old, "ended_at": old, "begun": true()}
    return {"id": _name("t_", n), "person_id": _name("p_", n), **ended}


def _reply(n: ColumnElement[int], old: float) -> dict[str, Any]:
    return {
        "id": _name("rp_", n),
        "person_id": _name("p_", n),
        "turn_id": _name("t_", n),
        "answers_message_id": _name("m", n),
        "channel": "test",
        "address": "desk",
        "mode": "outbox",
        "state": "sent",
        "body": b"body",
        "created_at": old,
        "settled_at": old,
        "parts": 1,
        "split_version": "1",
    }


def _of_all(n: ColumnElement[int], old: float) -> dict[Table, dict[str, Any]]:
    """Each table's values of the person number `n`."""
    person_id, today = _name("p_", n), int(old // DAY_SECONDS)
    spent = {"input_tokens": 1, "output_tokens": 1, "model_calls": 1}
    strong = {"channel": "test", "scope": "", "person_id": person_id, "value": b"sealed", "created_at": old}
    return {
        schema.person: {"id": person_id, "created_at": old, "data_key": b"key", "key_id": "test"},
        schema.kernel: {"person_id": person_id},
        schema.alias: strong | {"digest": _bytes("strong", n), "strong": true()},
        schema.message: _message(n, old),
        schema.turn: _turn(n, old),
        schema.item: {
            "person_id": person_id,
            "seq": 1,
            "turn_id": _name("t_", n),
            "kind": "input",
            "origin": "",
            "version": 1,
            "data": b"data",
            "created_at": old,
        },
        schema.reply: _reply(n, old),
        schema.reply_part: {
            "reply_id": _name("rp_", n),
            "part": 1,
            "sent_at": old,
            "channel_message_id": _name("wamid.", n),
            "receipt": "read",
        },
        schema.usage: {"person_id": person_id, "day": today, **spent},
    }


def _of_connected(n: ColumnElement[int], old: float) -> dict[Table, dict[str, Any]]:
    person_id, today = _name("p_", n), int(old // DAY_SECONDS)
    return {
        schema.connection: {
            "id": _name("cn_crowd", n),
            "person_id": person_id,
            "toolkit": "asana",
            "account_id": _name("ca_crowd", n),
            "status": "active",
            "created_at": old,
            "confirmed_at": old,
        },
        schema.connect_attempt: {
            "connection_id": _name("cn_crowd", n),
            "person_id": person_id,
            "channel": "test",
            "address": "desk",
            "state": "connected",
            "deadline": old,
            "door_digest": _bytes("door", n),
            "return_digest": _bytes("return", n),
            "browser_digest": _bytes("browser", n),
            "code_digest": _bytes("code", n),
            "secrets": b"secrets",
            "created_at": old,
        },
        schema.token_reservation: {
            "id": _name("tr_crowd", n),
            "person_id": person_id,
            "day": today - 2,
            "input_tokens": 1,
            "output_tokens": 1,
            "headroom": 1,
            "until": old + 1e9,
        },
        schema.parked_request: {
            "id": _name("pk_", n),
            "person_id": person_id,
            "turn_id": _name("t_", n),
            "toolkits": "asana",
            "digest": b"digest",
            "words": b"words",
            "created_at": old,
            "resumed_by": n,
        },
        schema.approval: {
            "id": _name("ap_", n),
            "person_id": person_id,
            "turn_id": _name("t_", n),
            "question_id": _name("ap_", n),
            "call_id": "c1",
            "tool": "ASANA_DELETE_TASK",
            "arguments": b"arguments",
            "digest": b"digest",
            "created_at": old,
            "expires_at": old,
            "decided_in": _name("t_", n),
        },
        schema.tool_usage: {"person_id": person_id, "day": today, "tool": "ASANA_CREATE_A_TASK", "calls": 1},
        schema.dead_letter: {
            "id": _name("dl_", n),
            "person_id": person_id,
            "message_seq": n,
            "message_id": _name("m", n),
            "problem": "tool",
            "dead_at": old,
        },
        schema.identity_link: {
            "channel": "test",
            "previous_scope": "",
            "previous_digest": _bytes("before", n),
            "current_scope": "",
            "current_digest": _bytes("after", n),
            "outcome": "linked",
            "told_at": old,
        },
        schema.chat: {"channel": "test", "address": _name("desk", n), "link": "https://chat.example.org"},
        schema.stray_session: {"digest": _bytes("stray", n), "seen_at": old},
        schema.stray_batch: {"id": _name("batch", n), "digests": _bytes("stray", n), "seen_at": old},
    }

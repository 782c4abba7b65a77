"""The facts that the assistant remembers about each person. Their time zone is in `kernel`, where turns read it."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, Table

from kernel_service.storage.schema.columns import Sealed, empty, metadata, person_id

fact = Table(
    "fact",
    metadata,
    person_id(primary_key=True),
    # Counted in `person.last_fact`, so that no number is reused for another fact.
    Column("number", Integer, primary_key=True, autoincrement=False),
    # `name` or `language`, of which a person has one; empty: any other fact.
    empty("label"),
    Column("text", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
)

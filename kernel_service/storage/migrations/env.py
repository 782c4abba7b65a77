"""Alembic's entry point. The connection, in a transaction, comes from `migrating.migrate`; so does the lock."""

from __future__ import annotations

from alembic import context

from kernel_service.storage.schema.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

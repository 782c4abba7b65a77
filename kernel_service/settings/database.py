"""The database, and the keys that seal what it stores."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr, ValidationInfo, field_validator

from kernel_service import insecure
from kernel_service.settings.listening import Listening
from kernel_service.storage.engine import database_url, postgres_url
from kernel_service.storage.sealing.ciphers import parse_keys
from serving.ranges import Range


class Database(Listening):
    """The database."""

    kernel_encryption_keys: SecretStr
    """The keys that seal the stored data, as `id:base64 of 32 bytes`, several with commas: the first seals, all can
    open. Without them the database cannot be read any more. See docs/how-to/rotate-keys.md."""
    kernel_database_url: SecretStr = SecretStr("sqlite:///var/kernel.db")
    """The database: `sqlite:///` and a path for one node, or `postgresql://…` for one or several, with TLS and other
    parameters, see docs/how-to/postgresql.md."""
    kernel_database_direct_url: SecretStr = SecretStr("")
    """The PostgreSQL server itself, if `KERNEL_DATABASE_URL` is a pooler in transaction mode: for notices and
    migrations. Unset: the same."""
    kernel_database_pool: Annotated[int, Range(2, 1000)] = 10
    """Connections of each process to PostgreSQL, plus one for notices."""

    @field_validator("kernel_encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        insecure.check_keys(parse_keys(value.get_secret_value()), info)
        return value

    @field_validator("kernel_database_url")
    @classmethod
    def _is_database(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        database_url.check(value.get_secret_value())
        insecure.check_database(value.get_secret_value(), info)
        return value

    @field_validator("kernel_database_direct_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            postgres_url.parse(value.get_secret_value())
        return value

"""Common forms of PostgreSQL URLs. An error names the problem and shows no part of the URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import ValidationError

from kernel_service.config import Settings, problems
from kernel_service.storage.engine.database_url import check
from kernel_service.storage.engine.postgres_url import parse

if TYPE_CHECKING:
    from pathlib import Path


def read(url: str) -> dict[str, Any]:
    """The driver's parameters for this URL."""
    parts = urlsplit(parse(url).dsn)
    user_and_password, _, hosts = parts.netloc.rpartition("@")
    user, _, password = user_and_password.partition(":")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    base = {"user": unquote(user), "password": unquote(password), "hosts": hosts, "database": parts.path.lstrip("/")}
    return base | {name: value for name, value in query.items() if (name, value) != DEFAULT}


DEFAULT = ("target_session_attrs", "read-write")
BASE = {"user": "ann", "password": "pw", "hosts": "db", "database": "kernel"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ann:pw@db/kernel", {}),
        ("postgres://ann:pw@db/kernel", {}),
        ("postgresql+asyncpg://ann:pw@db/kernel", {}),
        ("postgresql+psycopg://ann:pw@db/kernel", {}),
        ("postgres+psycopg2://ann:pw@db/kernel", {}),
        ("POSTGRESQL://ann:pw@db/kernel", {}),
        (" postgresql://ann:pw@db/kernel \n", {}),
        ("postgresql://ann:pw@db:/kernel", {"hosts": "db:"}),
        ("postgresql://ann:pw@db:6432/kernel", {"hosts": "db:6432"}),
        ("postgresql://ann:pw@[::1]:5432/kernel", {"hosts": "[::1]:5432"}),
        ("postgresql://ann:pw@a:5432,b:5433/kernel", {"hosts": "a:5432,b:5433"}),
        ("postgresql://ann:pw@a,b/kernel?target_session_attrs=any", {"hosts": "a,b"}),
        ("postgresql://ann:pw@a,b/kernel?target_session_attrs=primary", {"hosts": "a,b", DEFAULT[0]: "primary"}),
        ("postgresql://ann:p%40%3A%2F%23%3F%25w@db/kernel", {"password": "p@:/#?%w"}),
        ("postgresql://ann:p@w@db/kernel", {"password": "p@w"}),
        ("postgresql://ann:p:w@db/kernel", {"password": "p:w"}),
        ("postgresql://ann:p%zzw@db/kernel", {"password": "p%zzw"}),
        ("postgresql://ann%40org:pw@db/kernel", {"user": "ann@org"}),
        ("postgresql://ann:pw@/kernel?host=/var/run/postgresql", {"hosts": "", "host": "/var/run/postgresql"}),
        ("postgresql://ann:pw@ignored/kernel?host=/run", {"hosts": "", "host": "/run"}),
        ("postgresql://ann:pw@%2Fvar%2Frun/kernel", {"hosts": "%2Fvar%2Frun"}),
        ("postgresql://ann:pw@db/ignored?dbname=kernel", {"database": "", "dbname": "kernel"}),
        ("postgresql://ann:pw@db/kernel?sslmode=REQUIRE", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?ssl=true", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?ssl=verify-full", {"sslmode": "verify-full"}),
        ("postgresql://ann:pw@db/kernel?ssl=false", {"sslmode": "disable"}),
        ("postgresql://ann:pw@db/kernel?sslmode=&connect_timeout=", {}),
        ("postgresql://ann:pw@db/kernel?options=-c%20search_path%3Dk", {"options": "-c search_path=k"}),
        ("postgresql://ann:pw@db/kernel?channel_binding=prefer&gssencmode=disable&client_encoding=UTF8", {}),
        ("postgresql://ann:pw@db/kernel?pgbouncer=true&prepared_statement_cache_size=0", {}),
        ("postgresql://ann:pw@db/kernel?pgbouncer=true&connection_limit=1", {}),
        ("postgresql://ann:pw@db/kernel?keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3", {}),
        ("postgresql://ann:pw@db/kernel?uselibpqcompat=true&sslmode=require", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?sslcompression=0&sslmode=verify-ca", {"sslmode": "verify-ca"}),
        ("postgresql://ann:pw@db/kernel?sslmode=require&sslmode=REQUIRE", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?sslmode=require&sslmode=", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?sslmode=&sslmode=require", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?ssl=true&sslmode=verify-full", {"sslmode": "verify-full"}),
        ("postgresql://ann:pw@db/kernel?ssl=True&sslmode=require", {"sslmode": "require"}),
        ("postgresql://ann:pw@db/kernel?ssl=0&sslmode=disable", {"sslmode": "disable"}),
    ],
)
def test_common_forms_are_accepted(url: str, expected: dict[str, str]) -> None:
    check(url)
    assert read(url) == BASE | expected


def test_parameters_that_the_driver_does_not_take() -> None:
    url = parse("postgresql://ann:pw@db/kernel?application_name=my%20shop&connect_timeout=10")
    assert (url.application_name, url.connect_seconds) == ("my shop", 10)
    assert "pw" not in repr(url)
    plain = parse("postgresql://db/kernel")
    assert (plain.application_name, plain.connect_seconds, plain.system_roots) == ("kernel_service", 3, False)
    assert parse("postgresql://db/kernel?sslrootcert=system").system_roots
    assert parse("postgresql://db/kernel?connect_timeout=0").connect_seconds == plain.connect_seconds


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://ann:SECRET@db/kernel", "must begin with sqlite:/// or postgresql://"),
        ("postgresql:ann:SECRET@db/kernel", "must begin with"),
        ("ann:SECRET@db/kernel", "must begin with"),
        ("", "must begin with"),
        ("postgresql://ann:SECR/ET@db/kernel", "%2F"),
        ("postgresql://ann:SECR?ET@db/kernel", "%3F"),
        ("postgresql://ann:SECR#ET@db/kernel", "%23"),
        ("postgresql://ann:SECRET@db:port/kernel", "host:port"),
        ("postgresql://ann:SECRET@db:99999/kernel", "host:port"),
        ("postgresql://ann:SECRET@::1/kernel", "[ ]"),
        ("postgresql://ann:SECRET@[::1/kernel", "[ ]"),
        ("postgresql://ann:SECRET\u2100@db/kernel", "encode"),
        ("postgresql://ann:SECRET@db/kernel?sslmod=require", "not supported: sslmod;"),
        ("postgresql://ann:SECRET@db/kernel?schema=a&tcp_user_timeout=2", "schema, tcp_user_timeout;"),
        ("postgresql://ann:SECRET@db/kernel?SECRET!", "(unreadable)"),
        ("postgresql://ann:SECRET@db/kernel?sslmode=on", "disable, allow, prefer, require, verify-ca, verify-full"),
        ("postgresql://ann:SECRET@db/kernel?ssl=maybe", "has ssl with a value other than"),
        ("postgresql://ann:SECRET@db/kernel?channel_binding=require", "sslmode=verify-full"),
        ("postgresql://ann:SECRET@db/kernel?gssencmode=require", "gssencmode"),
        ("postgresql://ann:SECRET@db/kernel?client_encoding=latin1", "client_encoding"),
        ("postgresql://ann:SECRET@db/kernel?target_session_attrs=read-only", "the service writes"),
        ("postgresql://ann:SECRET@db/kernel?connect_timeout=soon", "seconds from 1 to 60"),
        ("postgresql://ann:SECRET@db/kernel?connect_timeout=-1", "seconds from 1 to 60"),
        ("postgresql://ann:SECRET@db/kernel?connect_timeout=61", "seconds from 1 to 60"),
        ("postgresql://ann:SECRET@db/kernel?sslmode=require&sslmode=disable", "sslmode more than once"),
        ("postgresql://ann:SECRET@db/kernel?sslmode=disable&sslmode=verify-full", "sslmode more than once"),
        ("postgresql://ann:SECRET@db/kernel?ssl=true&ssl=false", "ssl more than once"),
        ("postgresql://ann:SECRET@db/kernel?host=SECRET&host=b", "host more than once"),
        ("postgresql://ann:SECRET@db/kernel?SECRET!=a&SECRET!=b", "(unreadable)"),
        ("postgresql://ann:SECRET@db/kernel?ssl=true&sslmode=disable", "contradict each other: give sslmode alone"),
        ("postgresql://ann:SECRET@db/kernel?sslmode=prefer&ssl=1", "contradict each other"),
        ("postgresql://ann:SECRET@db/kernel?ssl=false&sslmode=verify-full", "contradict each other"),
        ("postgresql://ann:SECRET@db/kernel?ssl=verify-full&sslmode=require", "contradict each other"),
        ("postgresql://ann:SECRET@db/kernel?sslrootcert=/SECRET/ca.pem", "sslrootcert that names no file"),
        ("postgresql://ann:SECRET@db/kernel?sslmode=require&sslrootcert=system", "sslmode=verify-full"),
    ],
)
def test_an_error_names_the_problem_without_the_value(monkeypatch: pytest.MonkeyPatch, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        check(url)
    assert "SECR" not in str(refused.value)
    monkeypatch.setenv("KERNEL_DATABASE_URL", url or " ")
    with pytest.raises(ValidationError) as invalid:
        Settings()
    named = [problem for problem in problems(invalid.value) if problem.startswith("KERNEL_DATABASE_URL ")]
    assert len(named) == 1
    assert says in named[0]
    assert "SECR" not in str(invalid.value)


def test_existing_files_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert read(f"postgresql://db/kernel?sslrootcert={tmp_path}/ca.pem")["sslrootcert"] == f"{tmp_path}/ca.pem"


def test_the_direct_url_must_be_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_DATABASE_DIRECT_URL", "sqlite:///kernel.db")
    with pytest.raises(ValidationError) as invalid:
        Settings()
    assert "KERNEL_DATABASE_DIRECT_URL must begin with postgresql://" in problems(invalid.value)

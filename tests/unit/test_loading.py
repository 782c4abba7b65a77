"""The modules that are loaded once the services serve, and those that never are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

LOADED = "import sys; from kernel_service.loading import load_server; load_server(); print(*sys.modules)"
SETTINGS = {
    "KERNEL_CHANNEL_TOKENS": "whatsapp=0123456789abcdef",
    "KERNEL_ENCRYPTION_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "OPENAI_API_KEY": "sk-test",
    "COMPOSIO_API_KEY": "ak_test",
}


def modules(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def kernel_modules() -> set[str]:
    return modules(LOADED)


@pytest.mark.parametrize(
    "heavy",
    [
        "composio_client._generated.pydantic_gen",  # 4 s, 100 MB
        "composio_client.types",
        "composio",
        "openai.types.responses.response",  # with the other generated types 0.3 s, 9 MB
        "openai.types.graders",
        "openai.resources",
        "alembic",  # 0.2 s, 10 MB: for a database of an older program only
        "asyncpg",  # with SQLAlchemy's asyncio 10 MB: for PostgreSQL only
        "sqlalchemy.ext.asyncio",
        "cryptography.x509",  # 3 MB: for a certificate only
        "limits",  # 1.5 MB: for browsers on the connect pages only
        "pypdf",
        "rich",
        "trio",
        "kernelctl.kernelctl",
    ],
)
def test_the_kernel_service_serves_without(kernel_modules: set[str], heavy: str) -> None:
    assert heavy not in kernel_modules


def test_the_kernel_service_serves_with_its_vendors_clients(kernel_modules: set[str]) -> None:
    assert {"openai", "composio_client._base_client", "httpcore", "grpc.aio"} <= kernel_modules


def test_modules_hidden_while_loading_can_be_imported_afterwards() -> None:
    code = LOADED + "; import gc, trio, rich.console; assert gc.isenabled(); print('trio.lowlevel')"
    assert "trio.lowlevel" in modules(code)


@pytest.mark.parametrize("heavy", ["pydantic.v1", "sqlalchemy", "openai", "httpx", "jsonschema", "cryptography"])
def test_the_gateway_serves_without(heavy: str) -> None:
    assert heavy not in modules("import sys, whatsapp_gateway.__main__; print(*sys.modules)")


def test_broken_package_is_named_and_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "openai.py").write_text("from openai_moved import AsyncOpenAI")
    paths = [str(tmp_path), *sys.path]
    code = f"import sys; sys.path[:] = {paths!r}; from kernel_service.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path, env=SETTINGS
    )
    assert done.returncode == 2
    assert "openai_moved" in done.stderr
    assert "Traceback" not in done.stderr

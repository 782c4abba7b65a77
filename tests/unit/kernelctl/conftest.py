from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.kernelctl.vendors import FakeGateway, Vendors, vendors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Vendors]:
    async with vendors(tmp_path) as running:
        yield running


@pytest.fixture
async def gateway(real: Vendors) -> AsyncIterator[FakeGateway]:
    fake = FakeGateway()
    async with fake.serving() as url:
        real.emulators.whatsapp.webhooks.url = url
        yield fake

"""Builds the clients of the model's vendor and of the tools' vendor, each with its queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kernel_service.cluster.freshness import check_fresh
from kernel_service.cluster.shared_quota import share_quota
from kernel_service.composio.client import Composio
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.rate_limits.fair_queue import FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.config import Settings
    from kernel_service.wiring.foundation import Foundation


class VendorQueues(NamedTuple):
    """The queue for each vendor."""

    model: FairQueue
    tools: FairQueue


@dataclass(frozen=True, slots=True)
class Vendors:
    """`before_effect` raises Busy if a call with side effects must not be made now."""

    queues: VendorQueues
    openai: OpenAIClient
    composio: Composio
    before_effect: Callable[[], None]


def build_vendors(base: Foundation) -> Vendors:
    settings = base.settings
    queues = _queues(settings)
    share_quota(queues, base.membership, base.notices)
    before_effect = partial(check_fresh, base.membership)
    composio = Composio(
        settings.composio_api_key.get_secret_value(),
        settings.composio_base_url,
        queue=queues.tools,
        clock=base.clock,
        before_effect=before_effect,
    )
    base.stack.push_async_callback(composio.close)
    openai = OpenAIClient(settings.openai_api_key.get_secret_value(), settings.openai_base_url, queue=queues.model)
    base.stack.push_async_callback(openai.close)
    return Vendors(queues, openai, composio, before_effect)


def _queues(settings: Settings) -> VendorQueues:
    loop = asyncio.get_running_loop()
    return VendorQueues(
        FairQueue(
            "model",
            settings.kernel_model_per_minute,
            settings.kernel_model_per_minute_per_user,
            loop,
            tokens=settings.kernel_model_tokens_per_minute,
        ),
        FairQueue("tools", settings.kernel_composio_per_minute, settings.kernel_composio_per_minute_per_user, loop),
    )

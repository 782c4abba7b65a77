"""Outages that last until an operator acts: one alert when an outage begins, one line when it is over."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

log = logging.getLogger(__name__)

ALERTS: Final = {
    "model_unpaid": "the account has no credit; pay at the vendor",
    "model_rejects_key": "the vendor refuses OPENAI_API_KEY; set a valid one",
    "model_moved": "OPENAI_BASE_URL redirects elsewhere, which is not followed; set it to the new address",
    "model_path_missing": "the server has no such path; check OPENAI_BASE_URL, or set OPENAI_API to the other endpoint",
    "model_not_found": "the vendor has no such model; set OPENAI_MODEL",
}
"""The operator's action for each problem. All other problems end without one."""


class Outages:
    """The outages of one vendor. `refused` counts failed requests by the problem; `lasting` is the current outage."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.lasting: dict[str, int] = {}

    def met(self, problem: str) -> None:
        self.refused[problem] += 1
        if problem not in ALERTS:
            return
        if problem not in self.lasting:
            log.error("alert: %s: %s; messages wait", problem, ALERTS[problem])
        self.lasting[problem] = self.lasting.get(problem, 0) + 1

    def over(self) -> None:
        """The vendor has answered."""
        for problem, requests in self.lasting.items():
            log.warning("%s is over; it met %d requests", problem, requests)
        self.lasting.clear()

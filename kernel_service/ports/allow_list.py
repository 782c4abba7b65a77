"""The operator's list of the people whom the service serves."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AllowList:
    """`patterns` are shell patterns of user ids, as `whatsapp:US.*`. None: everyone is served."""

    patterns: tuple[str, ...] = ()

    def __call__(self, user_id: str) -> bool:
        return not self.patterns or any(fnmatch.fnmatchcase(user_id, each) for each in self.patterns)


EVERYONE = AllowList()

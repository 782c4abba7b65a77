"""Ids in Composio's form: a prefix and twelve characters."""

import random
import string
from dataclasses import dataclass

_CHARACTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Ids:
    rng: random.Random

    def new(self, prefix: str) -> str:
        return f"{prefix}_{''.join(self.rng.choices(_CHARACTERS, k=12))}"

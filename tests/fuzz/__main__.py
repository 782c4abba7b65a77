"""python -m tests.fuzz: sends a million changed webhooks; keeps and prints each that is handled wrongly."""

import argparse
import asyncio
import faulthandler
import hashlib
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.fuzz.mutations import Mutator
from tests.fuzz.trial import Trial, features, sign

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
PAYLOADS = HERE.parent / "unit/gateway/payloads"
HANG_SECONDS = 60
MOST_WRONG = 20
MOST_KEPT_BYTES = 1200
WRONG_SIGNATURES = 0.02


def seeds() -> list[object]:
    """Meta's payloads, from its documentation."""
    return [json.loads(file.read_text()) for file in sorted(PAYLOADS.glob("*.json"))]


def corpus() -> Iterator[tuple[str, bytes]]:
    """The bodies that stood out in earlier runs."""
    for file in sorted(CORPUS.glob("*.json")):
        yield file.stem, file.read_bytes()


def odd_signature(raw: bytes, rng: random.Random) -> str:
    """A damaged signature, or none."""
    right = sign(raw)
    at = rng.randrange(len(right))
    damaged = (right[:at] + rng.choice("0é\udcff ,g") + right[at + 1 :], right[:at], right.upper(), "", right + "0")
    return rng.choice([one for one in damaged if one != right])


@dataclass
class Share:
    """The results of one worker: bodies run, answers by status, faults, a small body for each kind of outcome."""

    count: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seen: dict[str, bytes] = field(default_factory=dict)


def run(count: int, seed: int) -> Share:
    """Run one worker's share of the bodies."""
    logging.disable(logging.CRITICAL)
    return asyncio.run(_run(count, seed))


async def _run(count: int, seed: int) -> Share:
    rng = random.Random(seed)
    mutator, trial, share = Mutator(seeds(), rng), Trial(), Share()
    while share.count < count and len(share.wrong) < MOST_WRONG:
        if share.count % 1000 == 0:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        raw = mutator.body()
        signature = odd_signature(raw, rng) if rng.random() < WRONG_SIGNATURES else None
        problems = await trial.run(raw, signature)
        if problems:
            share.wrong += [f"{_kept(raw, 'wrong')}: {problem}" for problem in problems]
        elif len(raw) <= MOST_KEPT_BYTES:
            for feature in features(raw) - share.seen.keys():
                share.seen[feature] = raw
        share.count += 1
    faulthandler.cancel_dump_traceback_later()
    share.statuses.update(trial.statuses)
    return share


def keep(shares: Sequence[Share]) -> None:
    """Add to the corpus the bodies with a new kind of outcome, small bodies first."""
    known = {feature for _, raw in corpus() for feature in features(raw)}
    for raw in sorted({raw for share in shares for raw in share.seen.values()}, key=lambda raw: (len(raw), raw)):
        if new := features(raw) - known:
            known |= new
            _kept(raw, "seen")


def _kept(raw: bytes, why: str) -> str:
    file = CORPUS / f"{why}-{hashlib.sha256(raw).hexdigest()[:12]}.json"
    file.write_bytes(raw)
    return file.name


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("--count", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--keep", action="store_true", help="add what stands out to the corpus")
    given = arguments.parse_args()
    shares = [given.count * worker // given.workers for worker in range(given.workers + 1)]
    work = [(end - start, given.seed * 1000 + at) for at, (start, end) in enumerate(pairwise(shares))]
    begun = time.monotonic()
    # A hanging worker ends itself, which ends the run.
    with ProcessPoolExecutor(given.workers) as workers:
        results = list(workers.map(run, *zip(*work, strict=True)))
    if given.keep:
        keep(results)
    return tell(results, time.monotonic() - begun)


def tell(shares: Sequence[Share], seconds: float) -> int:
    """Print the results. Returns the exit code."""
    bodies = sum(share.count for share in shares)
    statuses = sum((share.statuses for share in shares), Counter[int]())
    wrong = [problem for share in shares for problem in share.wrong]
    answers = ", ".join(f"{times} × {status}" for status, times in sorted(statuses.items()))
    sys.stdout.write(f"{bodies} bodies in {seconds:.0f} s ({bodies / seconds:.0f}/s), answered {answers}\n")
    sys.stdout.write("".join(f"{problem}\n" for problem in wrong) or "nothing crashed, hung or was mixed up\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

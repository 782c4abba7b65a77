"""Which page is made by what."""

from collections.abc import Callable
from pathlib import Path

from checks.reference import client, contract, errors, glossary, kernelctl, metrics, sentences, settings, states

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = {
    f"docs/reference/{name}.md": page
    for name, page in {
        "client": client.page,
        "contract": contract.page,
        "errors": errors.page,
        "glossary": glossary.page,
        "kernelctl": kernelctl.page,
        "metrics": metrics.page,
        "sentences": sentences.page,
        "settings": settings.page,
        "states": states.page,
    }.items()
}

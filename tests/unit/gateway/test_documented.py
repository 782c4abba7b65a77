"""docs/reference/whatsapp.md names existing tests, and lists every type and every code."""

import re
from pathlib import Path

import pytest

from whatsapp_gateway.graph import errors
from whatsapp_gateway.inbound import contents

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs/reference/whatsapp.md").read_text()
SHORT = {
    "reference": "tests/unit/gateway/inbound/test_meta_payloads.py",
    "answered": "tests/integration/test_everything_in.py",
}
NAMED = sorted(set(re.findall(r"`([\w/.]+)::(\w+)`", DOC)))


def test_the_document_names_tests() -> None:
    assert len(NAMED) > 30
    assert all(f"`{short}` is `{file}`" in DOC.replace("\n", " ") for short, file in SHORT.items())


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_a_named_test_exists(file: str, test: str) -> None:
    source = (ROOT / SHORT.get(file, file)).read_text()
    assert re.search(rf"^(?:async )?def {test}\(", source, re.MULTILINE)


@pytest.mark.parametrize("kind", contents._READERS)
def test_each_type_is_listed(kind: str) -> None:
    assert f"`{kind}`" in DOC


@pytest.mark.parametrize("code", [code for code in errors._REMEDIES if not 200 <= code < 300])
def test_each_code_is_listed(code: int) -> None:
    assert re.search(rf"^\|[^|]*\b{code}\b[^|]*\|", DOC, re.MULTILINE)

"""OpenAI's client is loaded without its generated types; code that names one gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

OURS = "import sys; from kernel_service.models.package import openai; "


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", OURS + code], check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_the_client_is_created_without_the_types_and_the_methods() -> None:
    loaded = run("openai.AsyncOpenAI(api_key='-'); print(*sys.modules)").split()
    assert "openai._base_client" in loaded
    # A version that needs more at import is as good, but for what it costs: defer the package that it names.
    assert len([name for name in loaded if name.startswith("openai.types.")]) < 100
    assert not [name for name in loaded if name.startswith(("openai.resources", "openai.types.responses.response"))]


@pytest.mark.parametrize(
    "code",
    [
        "print(openai.types.responses.Response.__name__)",
        "import openai.types.responses as responses; print(responses.Response.__name__)",
        "from openai.types.responses import Response; print(Response.__name__)",
        "import openai.types.responses.response as own; print('Response' * (openai.types.responses.response is own))",
        "openai.types.Batch, openai.types.shared.Reasoning, openai.OpenAI(api_key='-').responses; print('Response')",
    ],
)
def test_code_that_names_a_type_gets_it(code: str) -> None:
    assert run(code) == "Response"

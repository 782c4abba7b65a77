"""Composio's client is loaded without its generated models; a later import still gets the whole package."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_serving_loads_neither_the_generated_models_nor_the_typed_methods() -> None:
    loaded = run("import sys, kernel_service.app; print(*(name for name in sys.modules if 'composio_c' in name))")
    modules = {name for name in loaded.split() if name.startswith("composio_client")}
    assert "composio_client._base_client" in modules
    heavy = ("composio_client._generated", "composio_client.types", "composio_client.resources")
    assert not [name for name in modules if name.startswith(heavy)]


def test_the_whole_package_imported_later_has_the_same_classes() -> None:
    code = (
        "from kernel_service.composio import package as ours; import composio_client as theirs;"
        "print(issubclass(theirs.AsyncComposio, ours.AsyncAPIClient), theirs.APIStatusError is ours.APIStatusError)"
    )
    assert run(code) == "True True"


def test_the_whole_package_imported_earlier_is_the_one_used() -> None:
    code = (
        "import sys, composio_client as theirs; from kernel_service.composio import package as ours;"
        "print(issubclass(theirs.AsyncComposio, ours.AsyncAPIClient), sys.modules['composio_client'] is theirs)"
    )
    assert run(code) == "True True"

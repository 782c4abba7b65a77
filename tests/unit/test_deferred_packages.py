"""A deferred package runs its `__init__` once, at its first use, and is then as if it was imported at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.deferred_packages import defer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUTER = "from deferred_sample.inner import LIGHT, HEAVY\nimport time\ntime.sleep(0.01)\nLATE = 1\n"
INNER = "from deferred_sample.inner.light import LIGHT\nHEAVY = object()\n"


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    inner = tmp_path / "deferred_sample" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "deferred_sample" / "__init__.py").write_text(OUTER)
    (inner / "__init__.py").write_text(INNER)
    (inner / "light.py").write_text("LIGHT = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("deferred_sample")]:
        del sys.modules[name]


@pytest.fixture
def deferred(sample: None) -> Any:
    defer("deferred_sample", "deferred_sample.inner")
    return sys.modules["deferred_sample"]


def test_a_module_below_is_imported_without_the_packages(deferred: Any) -> None:
    from deferred_sample.inner.light import LIGHT  # type: ignore[import-not-found]  # noqa: PLC0415

    assert LIGHT
    assert "LATE" not in vars(deferred)
    assert "HEAVY" not in vars(deferred.inner)


def test_first_use_runs_the_package_with_the_modules_that_are_loaded(deferred: Any) -> None:
    from deferred_sample.inner.light import LIGHT  # noqa: PLC0415

    assert deferred.LATE == 1
    assert deferred.LIGHT is deferred.inner.LIGHT is LIGHT


def test_a_name_that_the_package_lacks_is_an_error_that_names_both(deferred: Any) -> None:
    with pytest.raises(AttributeError, match="'deferred_sample' has no attribute 'absent'"):
        _ = deferred.absent


def test_threads_wait_until_the_package_has_run(deferred: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: deferred.LATE, range(4))) == [1] * 4


def test_a_loaded_package_and_one_that_is_not_installed_stay_as_they_are(sample: None) -> None:
    import deferred_sample  # type: ignore[import-not-found]  # noqa: PLC0415

    defer("deferred_sample", "no_such_package", "no_such_package.below", "json.decoder.below")
    assert type(deferred_sample) is type(sys)
    assert "no_such_package" not in sys.modules

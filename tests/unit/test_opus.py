from __future__ import annotations

import pytest

from emulators.openai.opus import silence
from kernel_service.opus import is_opus, seconds_of


@pytest.mark.parametrize("seconds", [0.02, 1, 3.2, 90])
def test_the_length_of_a_recording(seconds: float) -> None:
    recording = silence(seconds, "Hello")
    assert is_opus(recording)
    assert seconds_of(recording) == pytest.approx(seconds)


@pytest.mark.parametrize("data", [b"", b"OggS", b"RIFF....WAVE", b'{"error": 1}', b"OggS" + b"\xff" * 40, bytes(100)])
def test_other_bytes_have_no_length(data: bytes) -> None:
    assert not is_opus(data)
    assert seconds_of(data) == 0

"""Files in a request: refused as OpenAI refuses them, and described by a digest that proves that they are complete.

Source: platform.openai.com/docs/guides/images-vision, …/pdf-files.
"""

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from emulators.openai.errors import refused
from emulators.openai.wire import InputFile, InputImage, InputMessage, Item

MOST_BYTES: Final = 50_000_000
"""The largest total size of a request's files, in base64."""
FILE_TOKENS: Final = 1000
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_IMAGES: Final[dict[str, Callable[[bytes], bool]]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
}
_ZIPPED: Final = frozenset({"docx", "pptx", "xlsx"})
_TEXTS: Final = frozenset({"txt", "csv", "md", "html", "json", "xml", "tsv", "ics", "vcf", "py", "log"})
_LONGEST_LINE: Final = 80


@dataclass(frozen=True, slots=True)
class SeenFile:
    """`kind` is `image` or `file`."""

    kind: str
    mime_type: str
    filename: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def in_words(self) -> str:
        """The rule-based model's description of the file. Different files have different descriptions."""
        name = f" {self.filename}" if self.filename else ""
        line = f", begins “{first}”" if (first := self.first_line()) else ""
        return f"[{self.kind}{name}: {self.mime_type}, {len(self.data)} bytes, sha256 {self.sha256[:16]}{line}]"

    def first_line(self) -> str:
        return next((line.strip()[:_LONGEST_LINE] for line in self.text.splitlines() if line.strip()), "")

    @property
    def text(self) -> str:
        """The text of a document's first page; empty if it has none, or for an image."""
        return _text(self)


def seen_files(items: Iterable[Item]) -> dict[int, SeenFile]:
    """The file of each part of the items, by the part's `id()`. Raises RefusedError."""
    files: dict[int, SeenFile] = {}
    total = 0
    for number, item in enumerate(items):
        if not isinstance(item, InputMessage) or isinstance(item.content, str):
            continue
        for place, part in enumerate(item.content):
            if isinstance(part, InputImage | InputFile):
                param = f"input[{number}].content[{place}]"
                files[id(part)] = _image(part, param) if isinstance(part, InputImage) else _document(part, param)
                total += len(part.image_url or "") if isinstance(part, InputImage) else len(part.file_data or "")
    if total > MOST_BYTES:
        raise refused("The total size of the request's files exceeds 50 MB.", status=413, code="file_too_large")
    return files


def without_files(value: Any) -> Any:
    """The input for counting tokens: a description replaces the bytes of each file."""
    if isinstance(value, dict):
        return {name: without_files(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_files(each) for each in value]
    if isinstance(value, str) and value.startswith("data:") and ";base64," in value[:200]:
        return "x" * 4 * FILE_TOKENS
    return value


def _image(part: InputImage, param: str) -> SeenFile:
    if not part.image_url:
        raise refused("The emulator shows images by 'image_url' only.", param=f"{param}.image_url")
    mime_type, data = _decoded(part.image_url, f"{param}.image_url")
    fits = _IMAGES.get(mime_type)
    if fits is None or not fits(data):
        raise refused(
            "The image data you provided does not represent a valid image. Please check your input and try again with "
            "one of the supported image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp'].",
            param=param,
            code="invalid_image_format",
        )
    return SeenFile("image", mime_type, "", data)


def _document(part: InputFile, param: str) -> SeenFile:
    if not part.file_data or not part.filename:
        raise refused("The emulator reads files by 'file_data' and 'filename' only.", param=f"{param}.file_data")
    mime_type, data = _decoded(part.file_data, f"{param}.file_data")
    suffix = PurePosixPath(part.filename).suffix.lower().removeprefix(".")
    if suffix not in {"pdf", *_ZIPPED, *_TEXTS}:
        raise refused(f"Invalid input: Expected context stuffing file type to be a supported format, got .{suffix}.",
                      param=param, code="unsupported_file")  # fmt: skip
    if (suffix == "pdf" and not _readable(data)) or (suffix in _ZIPPED and not data.startswith(b"PK")) or not data:
        raise refused(f"The file '{part.filename}' could not be parsed.", param=param, code="invalid_file")
    return SeenFile("file", mime_type, part.filename, data)


def _readable(pdf: bytes) -> bool:
    try:
        reader = PdfReader(io.BytesIO(pdf))
        return b"%PDF-" in pdf[:1024] and not (reader.is_encrypted and not reader.decrypt("")) and len(reader.pages) > 0
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _decoded(url: str, param: str) -> tuple[str, bytes]:
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise refused(f"Invalid '{param}'. Expected a base64-encoded data URL.", param=param, code="invalid_value")
    try:
        return match[1], base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise refused(f"Invalid '{param}'. Expected valid base64.", param=param, code="invalid_base64") from None


def _text(file: SeenFile) -> str:
    if file.kind == "image":
        return ""
    if not file.data.startswith(b"%PDF-"):
        return "" if file.data.startswith(b"PK") else file.data.decode(errors="replace")
    try:
        return str(PdfReader(io.BytesIO(file.data)).pages[0].extract_text())
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return ""

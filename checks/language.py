"""The style check for language: `python -m checks.language [PATH…]`, a part of `make lint`.

It reads docstrings, comments, messages, test names, documents, pages and proto comments, and compares them with the
rules in language.toml. Text in quotes or backticks and lists of words are data, and are not checked. A comment
`language: ok` on a line, or on the last line of a docstring, silences its findings.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from checks.passage import Passage
from checks.readers import is_read, passages_of
from checks.rules import Rules

ROOT = Path(__file__).parent.parent
GENERATED = (
    "protos/gen/",
    "clients/typescript/src/gen/",
    "checks/language.toml",
    "benchmarks/results/",
    "docs/_static/mermaid/mermaid.tiny.js",
    "docs/reference/sentences.md",  # quotes, which are checked in kernel_service/texts
)


def findings(passages: Iterable[Passage], rules: Rules) -> Iterable[str]:
    """One line for each finding: `line: word (what to write instead)`."""
    for passage in passages:
        for offset, found, instead in rules.broken_by(passage):
            yield f"{passage.line_at(offset)}: {found} ({instead})"


def files(paths: list[str]) -> list[str]:
    """The repository's files at these paths, those that are new as well."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *(paths or ["."])]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)  # noqa: S603 - no shell
    known = (path for path in set(listed.split("\0")) if is_read(path) and not path.startswith(GENERATED))
    return sorted(path for path in known if (ROOT / path).is_file())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m checks.language", description="Check the language of the project.")
    parser.add_argument("paths", nargs="*", help="files or folders, relative to the repository (default: all)")
    options = parser.parse_args(arguments)
    rules = Rules.read()
    found = False
    for path in files(options.paths):
        for finding in findings(passages_of(path, (ROOT / path).read_text()), rules):
            print(f"{path}:{finding}")  # noqa: T201 - the report
            found = True
    if found:
        print("Rephrase these lines; the docstring of checks/language.py says how.", file=sys.stderr)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The rule for the first line of a commit message, as a commit-msg hook: `python -m checks.commit_subject FILE`."""

import re
import sys
from pathlib import Path

LONGEST = 60
SUBJECT = re.compile(r"[\w./-]+(, [\w./-]+)*: \S.*")
OF_GIT = re.compile(r"(Merge|Revert|\w+!) ")


def problem(subject: str) -> str:
    """The fault of a subject and what to write instead; empty if it has none."""
    if OF_GIT.match(subject):
        return ""
    if not SUBJECT.fullmatch(subject):
        return "write `area: what it does`, as in `outbox: extend leases`"
    if len(subject) > LONGEST:
        return f"{len(subject)} characters; write at most {LONGEST} and put the rest into the body"
    if subject.endswith("."):
        return "leave out the period at the end"
    return ""


if __name__ == "__main__":
    found = problem(Path(sys.argv[1]).read_text().partition("\n")[0].strip())
    if found:
        sys.exit(f"The commit's subject: {found}.")

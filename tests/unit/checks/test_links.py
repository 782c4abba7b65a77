"""A link of a page is found wherever Markdown permits one, and each way to lead nowhere is named."""

from pathlib import Path

import pytest

from checks.links import anchors, problems

HERE = "# Here\n\n## Two `words`, and more\n\n## Two `words`, and more\n\n<a id='by-name'></a>\n\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other\n\nHeading below\n=============\n")
    (tmp_path / "docs" / "a file.txt").write_text("")
    (tmp_path / "docs" / "picture.png").write_bytes(b"")
    return tmp_path


def found(folder: Path, text: str) -> list[str]:
    page = folder / "page.md"
    page.write_text(HERE + text)
    return problems(page)


def test_headings_are_named_as_code_hosts_name_them(folder: Path) -> None:
    (folder / "page.md").write_text(HERE + "```sh\n# no heading\n```\n\n> ## Quoted — *it* is_one!\n")
    assert anchors(folder / "page.md") == {
        "here",
        "two-words-and-more",
        "two-words-and-more-1",
        "by-name",
        "quoted--it-is_one",
    }


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/other.md) and [b](docs/other.md#heading-below)",
        "[a](#two-words-and-more-1) and [b](#by-name)",
        "[a folder](docs) and [with a slash](docs/)",
        "[a](docs/a%20file.txt) and [b](<docs/a file.txt>)",
        "![what it shows](docs/picture.png)",
        '<img src="docs/picture.png" alt="what it shows">',
        "[a][1]\n\n[1]: docs/other.md",
        "[a](https://example.com/x?y=1#z) and <https://example.com> and [b](mailto:a@example.com)",
        "[this machine](http://127.0.0.1:8080/) and [it](http://localhost:3000)",
        "`[code](nowhere.md)`\n\n```md\n[code](nowhere.md)\n```",
        "[a line that breaks](\ndocs/other.md)",
        "<!-- <a href='nowhere'>a comment</a> -->",
    ],
)
def test_a_link_that_leads_somewhere_is_fine(folder: Path, text: str) -> None:
    assert found(folder, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](docs/nowhere.md)", "docs/nowhere.md is not there"),
        ("[a](docs/Other.md)", "docs/Other.md is not there"),
        ("[a](docs/other.md/)", "docs/other.md/ is not there"),
        ("[![shown](docs/nowhere.png)](docs/other.md)", "docs/nowhere.png is not there"),
        ("## [a](nowhere)", "nowhere is not there"),
        ("> [a](nowhere)", "nowhere is not there"),
        ("<details>\n\n[a](nowhere)\n\n</details>", "nowhere is not there"),
        ("[a](docs/other.md#nothing)", "docs/other.md#nothing names no heading of that page"),
        ("[a](docs/other.md#Heading-below)", "docs/other.md#Heading-below names no heading of that page"),
        ("[a](#nothing)", "#nothing names no heading of that page"),
        ("[a][1]\n\n[1]: docs/nowhere.md", "docs/nowhere.md is not there"),
        ("| table |\n|---|\n| [a](nowhere) |", "nowhere is not there"),
        ("- a list\n  - [a](nowhere)", "nowhere is not there"),
        ("<p><a href='nowhere'>a</a></p>", "nowhere is not there"),
        ("text with <a href='nowhere'>a</a>", "nowhere is not there"),
        ("![](docs/picture.png)", "the picture docs/picture.png has no text that says what it shows"),
        ("<img src='docs/picture.png'>", "the picture docs/picture.png has no text that says what it shows"),
        ("![shown](docs/nowhere.png)", "docs/nowhere.png is not there"),
        ("[a]()", "an empty link is not there"),
        ("[a](/etc)", "/etc is a path of this machine: make it relative to the page"),
        ("[a](http://example.com)", "http://example.com is not private: use https://"),
        ("[a](https://)", "https:// is no valid address"),
        ("[a](https://example)", "https://example is no valid address"),
        ("[a](https://example.com:port/)", "https://example.com:port/ is no valid address"),
        ("[a](htps://example.com)", "htps://example.com is no valid address: give it with https://"),
        ("[a](//example.com/x)", "//example.com/x is no valid address: give it with https://"),
        ("[a](mailto:)", "mailto: is no valid address"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_line(folder: Path, text: str, problem: str) -> None:
    (line,) = found(folder, text)
    place, _, said = line.partition(" ")
    assert said == problem
    assert place.startswith("page.md:")


def test_the_line_is_that_of_the_link(folder: Path) -> None:
    assert found(folder, "one\ntwo [a](nowhere)\n") == ["page.md:10 nowhere is not there"]

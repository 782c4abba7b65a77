"""The style check finds its words where people read them, and nowhere else."""

import subprocess
from pathlib import Path

import pytest

from checks.language import files, main
from checks.readers import passages_of
from checks.rules import Rules

RULES = Rules.read()


def found(source: str, path: str = "kernel_service/sample.py") -> list[tuple[int, str]]:
    """The lines and words of all findings."""
    passages = passages_of(path, source)
    return [(passage.line_at(at), word) for passage in passages for at, word, _ in RULES.broken_by(passage)]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""A person and his link."""', 1),
        ('"""A link.\n\nThe person has lost\nhis page.\n"""', 4),
        ("# The person and his link.", 1),
        ("x = 1  # his link", 1),
        ("x = '#'  # his link", 1),
        ("# noqa: S101 - his link", 1),
        ("log.info('The link of %s is his', x)", 1),
        ("raise ValueError(f'{x} has lost his link')", 1),
        ("raise ValueError(\n    'The link is invalid, '\n    'it is not his'\n)", 2),
        ("def test_a_person_keeps_his_link(): ...", 1),
        ('TEXT = """\\\nThe first line.\nThe person and his link.\n"""', 3),
    ],
)
def test_a_word_is_found_with_its_line(source: str, line: int) -> None:
    assert found(source) == [(line, "his")]


@pytest.mark.parametrize(
    "source",
    [
        '"""`his` is a name, and "he" a quotation."""',
        "his = 1",
        "x = {'his': 'he'}",
        "def of_his_own(): ...",
        '"""The history of this person."""',
        "# type: ignore[his]",
        "x = 1  # the person and his link  # language: ok",
        'def f():\n    """The person and his link."""  # language: ok',
    ],
)
def test_data_names_and_escaped_lines_are_not_checked(source: str) -> None:
    assert found(source) == []


def test_strings_of_tests_are_data_unless_they_explain_an_outcome() -> None:
    assert found("x = say('he has lost his link')", "tests/unit/test_x.py") == []
    assert found("assert x, 'the link is not his'", "tests/unit/test_x.py") == [(1, "his")]


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.md", "# His link\n\nA person.\n", [(1, "His")]),
        ("a.md", "```\nhis\n```\n`his` [link](his.md)\n", []),
        ("a.md", "| a | his |\n|---|---|\n", [(1, "his")]),
        ("a.proto", '// A person and his link.\noption x = "his";\n', [(1, "his")]),
        ("a.js", "const his = 1; // a person and his link\n", [(1, "his")]),
        ("a.html", "<style>his</style><p class='his'>\nyou and his link</p>", [(2, "his")]),
        ("Makefile", "run: x ## Start his link\n\techo his\n", [(1, "his")]),
        (".env.example", "# his link\nHIS=his\n#HERS=his\n", [(1, "his")]),
    ],
)
def test_each_kind_of_file_is_read(path: str, source: str, expected: list[tuple[int, str]]) -> None:
    assert found(source, path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This approval counts no more.", ["counts no more"]),
        ("It allows no more than three attempts.", []),
        ("So many have come.", ["So many"]),
        ("Nobody is made by a notice.", ["Nobody"]),
        ("What nobody waits for comes last.", ["What", "nobody"]),
        ("Who asks? What is new?", []),
        ("It has an inbox of its own.", ["of its own"]),
        ("Never does it end.", ["Never does"]),
        ("It never does anything.", []),
        ("One alert a spell.", ["spell"]),
        ("The door of the house.", ["door"]),
        ("The person\nis told anew.", ["anew"]),
    ],
)
def test_the_rules_hold_for_sentences(text: str, expected: list[str]) -> None:
    assert [word for _, word in found(f'"""{text}"""')] == expected


def test_regular_expressions_are_data() -> None:
    assert found("re.compile(r'the (?:link|page) is not his')") == []
    assert found("re.compile('a|b', say('the link is not his'))") == [(1, "his")]


def test_a_list_of_words_is_data_and_a_sentence_on_lines_is_not() -> None:
    words = "word bear " * 20
    assert found(f'x = listed("""\n    {words}\n    {words}\n    """)') == []
    assert found('x = """\nThe link is his.\n"""') == [(2, "his")]


@pytest.mark.parametrize("mark", ["-", "1.", "|", "├──", "│   └──"])
def test_each_item_row_or_branch_is_a_separate_sentence(mark: str) -> None:
    words = "word " * 20
    assert found(f'"""\n{mark} {words}\n{mark} {words}\n"""') == []


def test_a_long_sentence_is_found_and_two_short_ones_are_not() -> None:
    words = "word " * 20
    assert found(f'"""{words} and {words}."""') == [(1, "a sentence of 41 words")]
    assert found(f'"""{words}. And {words}."""') == []
    assert found(f'"""**{words}.** And *{words}.* *And* {words}."""') == []


def test_messages_do_not_exclaim() -> None:
    assert found("x = 'The link is ready!'") == [(1, "!")]
    assert found('"""Compares with !=, and a `!`."""') == []


def test_the_command_names_file_line_word_and_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr("checks.language.ROOT", tmp_path)
    (tmp_path / "good.md").write_text("The person and their link.")
    (tmp_path / "bad.md").write_text("# A page\n\nThe person and his link.\n")
    assert main(["good.md"]) == 0
    assert main([]) == 1
    assert capsys.readouterr().out.startswith("bad.md:3: his (singular they")


def test_new_files_are_read_and_generated_ones_are_not() -> None:
    known = files([])
    assert "checks/language.py" in known
    assert "kernel_service/connections/web/page/page.html" in known
    assert not [path for path in known if path.startswith("protos/gen/")]

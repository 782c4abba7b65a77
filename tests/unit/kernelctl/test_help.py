"""The help of kernelctl on a terminal of 80 columns."""

from click.testing import CliRunner

from kernelctl.kernelctl import main


def test_no_sentence_of_the_help_is_cut() -> None:
    told = CliRunner().invoke(main, ["--help"], terminal_width=80).output.partition("Commands:")[2]
    assert "merge " in told
    assert "..." not in told
    assert max(map(len, told.splitlines())) <= 80

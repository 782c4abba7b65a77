"""Text arrives unchanged: text without markup is kept, and WhatsApp shows what was meant."""

import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.gateway.whatsapp_app import Reading, show
from whatsapp_gateway.markup.commonmark import as_text, to_blocks
from whatsapp_gateway.markup.inline import read_inline
from whatsapp_gateway.markup.lines import write_lines
from whatsapp_gateway.markup.plain_text import has_no_marks, is_plain
from whatsapp_gateway.model.outbox import OfferedChoice, Reply
from whatsapp_gateway.outbound.rendering import render


def sent(markdown: str) -> str:
    return "\n\n".join(block.shown() for block in to_blocks(markdown))


def seen(text: str) -> str:
    """The visible characters."""
    return re.sub(r"\s+", "", text)


TEXTS = [
    "https://github.com/x/y/blob/main/__init__.py",
    "https://a.b/x?q=a_b_c&r=*x*&amp;s=&copy;1 and https://a.b/_c_",
    "see www.a.b/_c_/d or a.b/_c_/d",
    "5*3=15 and 4*2=8",
    "2 * 3 * 4 = 24, 2**10 and a*b*c",
    "2*(3+4)*5 = 70; f(x)*g(x)",
    "snake_case_name other_name_",
    "P@*ss*w0rd! ab**cd**ef *K9 x_$y_!",
    "first_last@example.com, a_b_c@d-e.org and _x_@y.com",
    r"C:\new_folder\_x and \\server\share\_y_z",
    r"C:\Program Files\_x\*.txt",
    r"\d+\.\d* and [^\]]+\w*",
    r"\[ x_1 * y_2 \] and \(a_1\) and $\frac{a_1}{b_2} * c_3$",
    '{"a_b": "C:\\\\dir\\\\_x", "c": [1*2*3, "d_e_f"], "g": "say \\"hi\\""}',
    "ps aux | grep a_b | awk '{print $1*$2*3}' > /dev/null && ls ~/x ~/y",
    "def f(*args, **kwargs): return a[0](b)",
    "SELECT * FROM t WHERE a_b = 1",
    "char **argv, int *p",
    "+49 (0) 151 12345678 or 0151/123-45",
    "- [ ] open\n- [x] done",
    "5. five\n7. seven\n   - inner\n8) eight",
    "1. one\n1. one more",
    "> quoted\n> > deeper",
    ">5 apples, >=3 pears\n>>> print(x)",
    "+ 3\n+ 4",
    "text[^1]\n\n[^1]: the note",
    "about ~5 or ~10 minutes, file~",
    "مرحبا بالعالم (نص) 123",
    "שלום עולם",
    "👩‍👩‍👧 🇩🇪 1️⃣ ❤️ 👍🏽",
    "ᄒ\u1161\u11ab 한국어 กำลัง",
    "长*宽*高",
    "总价=单价*数量*折扣",
    "가로*세로*높이*4",
    "a | b without a table",
    "**",
    "a * and ** and _ and ~~ and `",
    "****1234, ****** and ______",
    "don't `",
    "Call [me] (later) or [x](y) or arr[i](j.k)",
    "#hashtag and C# and #1",
    "a\\*b\\c is no escape, nor C:\\a",
    "line one\nline two\n   indented",
    "a < b > c & d &amp e; AT&T; x &foo; y",
    "Zahl: 3.000,50 € – 20 % @home",
    "__init__",
    "key=__value__x and a__b__c",
    "rm -rf build/*/x_*_y*",
    "docker run \\\n  -v a:b \\\n  image",
    *('print("_", "_")', "('~~', '~~')", '"*" and "?" and "*"', "use \"*\" or '*'", '"*".join("*")', '"**" and "**"'),
    *("^_^ *_* -_-", "(*_*)", "(*^▽^*)", "*…* **!** _-_"),
    *("5 *3=15 and 4* 2", "3 *4 and 5* 6", "Passwort: *Sommer*2024*", "pw *K9*x_2*z*", "~Ab~12~"),
    *(
        r"C:\*\*.txt",
        r"C:\_cache\#1",
        r"C:\temp\~x",
        r"^\*.*\*$",
        r"^\_+\_$",
        r"(\*.+\*)",
        r"..\_x\*",
        r"/srv/a/\*.txt",
    ),
    *("https://g.h/x/~y~/a**b/**", "https://git.hub/(c)/**k/** ok", "https://a.b/~~c~~/d?e=1&copy=2&lt=3"),
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("reading", Reading)
def test_text_without_markup_is_sent_and_shown_unchanged(text: str, reading: Reading) -> None:
    message = sent(text)
    assert seen(show(message, reading).text) == seen(re.sub(r"(?m)^(?:[>*-] )", "", text).replace("&amp;r", "&r"))
    assert message.replace("`", "") == text.replace("`", "")


def test_names_and_titles_are_not_markup() -> None:
    assert as_text("_a_.zip *b*\nsnake_case").text == "`_a_.zip` `*b*`\nsnake_case"
    choices = tuple(OfferedChoice(f"{number}", f"*{number}*") for number in range(11))
    (body,) = render(Reply("rp_1", "Which?", choices=choices))
    assert body["text"]["body"].startswith("Which?\n\n1. `*0*`\n2. `*1*`")


def test_a_table_becomes_rows_that_name_their_columns() -> None:
    table = "| Plan | Price |\n|:-----|------:|\n| Basic | $5 |\n| Pro | $9 |"
    assert sent(table) == "- Plan: Basic · Price: $5\n- Plan: Pro · Price: $9"


CODES = [r"\*x\*", r"\_x\_ y", r"\*\*x\*\*", "src/**/test/**/x", "(a)*b*(c)", ".*foo.*", "__init__.py", "`a` /_b_/c"]


@pytest.mark.parametrize("text", CODES)
def test_text_that_whatsapp_would_show_as_emphasis_is_shown_as_code(text: str) -> None:
    meant = re.sub(r"\\([*_])", r"\1", text).replace("`", "")
    for reading in Reading:
        view = show(sent(text), reading)
        assert view.text == meant
        assert {mark for mark, _ in view.marked} == {"`"}


@pytest.mark.parametrize(
    ("markdown", "bold"),
    [
        ("**word**", ["word"]),
        ("a **b** c, **d**.", ["b", "d"]),
        ("(**a**) “**b**” **c**: **d**! — **e**", ["a", "b", "c", "d", "e"]),
        ("这是**重点**内容", ["重点"]),
        ("**重点：**内容", ["重点："]),
        ("前（**重点**）后，**又**。", ["重点", "又"]),
        ("使用**Python**编写", ["Python"]),
        ("これは**太字**です。", ["太字"]),
        ("**서울**은 **수도**입니다", ["서울", "수도"]),
        ("นี่คือ**สำคัญ**มาก", ["สำคัญ"]),
        ("✅**Done**✅", ["Done"]),
        ("**a**/**b**-**c**", ["a", "b", "c"]),
        ("مرحبا **مهم** جدا", ["مهم"]),
        ("**5 * 3 = 15** and **5*3**", ["5 * 3 = 15", "5*3"]),
        ("***both***", ["both"]),
        ("**two\nlines**", ["two", "lines"]),
        ("# Title", ["Title"]),
        ("Title\n=====", ["Title"]),
        ("**see https://a.b/_c_ now**", ["see", "now"]),
        ("**run `x*y` now**", ["run", "now"]),
        ("**[text](https://a.b/c)**", ["text"]),
        ("**„Hallo“** sagte er. **»Ja«**, **‚x‘** und **›y‹**", ["„Hallo“", "»Ja«", "‚x‘", "›y‹"]),
        ("**”Hej”** sa **’hon’**, **«oui»** “**no**” «**si**»", ["”Hej”", "’hon’", "«oui»", "no", "si"]),
        ("他说“**你好**”和**“再见”**。", ["你好", "“再见”"]),
        ("| **Name** | Age |\n|--|--|\n| **Ann** | 3 |", ["Ann"]),
        ("un**believ**able ab**cd**ef", []),
        ("** a ** and **b", []),
    ],
)
@pytest.mark.parametrize("reading", Reading)
def test_bold_text_is_shown_bold(markdown: str, bold: list[str], reading: Reading) -> None:
    view = show(sent(markdown), reading)
    assert view.of("*") == bold
    assert letters(view.text) == letters(show(sent(markdown.replace("*", ""))).text)


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("*i* _i_ ~~s~~ ~s~", "_i_ _i_ ~s~ ~s~"),
        ("*pre*-war, *Hamlet*'s", "_pre_-war, _Hamlet_'s"),
        ("**https://a.b/__init__.py**", "https://a.b/__init__.py"),
        ("_see https://a.b/_c_d_ now_", "_see_ https://a.b/_c_d_ _now_"),
        ("_https://a.b/c_", "https://a.b/c"),
        ("**https://g.h/a/**/b.py**", "https://g.h/a/**/b.py"),
        ("*see https://g.h/**/z*", "_see_ https://g.h/**/z"),
        ("**Path: https://g.h/src/**/x.py**, **b**", "*Path:* https://g.h/src/**/x.py, *b*"),
        ("这是**https://a.b**内容，https://a.b**重点**", "这是https://a.b内容，https://a.b\u200a*重点*"),
        ("~~https://a.b/~~/d~~", "https://a.b/~~/d"),
        ("[x](https://a.b/?c=1&copy=2&amp;d=3)", "x (https://a.b/?c=1&copy=2&d=3)"),
        ("“*” and “*”", "“*\u200a” and “*”"),
        ("«**» et «**», „_“", "«**\u200a» et «**», „_“"),
        ("Er las _„Faust“_ und **+**", "Er las _„Faust“_ und +"),
        ("https://a.b/A_(b), (https://a.b/c).", "https://a.b/A_(b), (https://a.b/c)."),
        ("[a](https://b.c/d_e_(f)) [x](<https://b.c>)", "a (https://b.c/d_e_(f)) x (https://b.c)"),
        ("[b.c/d](https://b.c/d/) [a@b.c](mailto:a@b.c)", "https://b.c/d/ a@b.c"),
        ("[+1 555](tel:+1555)", "+1 555"),
        ("[![alt](https://a.b/i.png)](https://c.d)", "alt (https://a.b/i.png) (https://c.d)"),
        ("```markdown\n# T\n\n**b**\n```", "*T*\n\n*b*"),
        ("```markdown\n# T\n```py\nx = **1**\n```\n**b**\n```", "*T*\n\n```\nx = **1**\n```\n\n*b*"),
        ("Here:\n```md\n**b**\n```\nend", "Here:\n\n*b*\n\nend"),
        ("~~~\ncode *x*\n~~~", "```\ncode *x*\n```"),
        ("````\n```\nx\n```\n````", "```\n``\u200a`\nx\n``\u200a`\n```"),
        ("> ```\n> a_b\n> ```\n> c", "> `a_b`\n> c"),
        ("| A | B |\n|:--|--:|\n| 1 | a\\|b |\n| x<br>y | |", "- A: 1 · B: a|b\n- A: x; y"),
        ("a | b\n--|--\n1 | 2\nend", "- a: 1 · b: 2\nend"),
        ("* star\n+ plus\n- dash", "- star\n+ plus\n- dash"),
        ("Title\n---\ntext\n\n---", "*Title*\ntext\n\n———"),
        ("&lt;b&gt; &amp;amp; &#42;x &copy;", "<b> &amp; *x ©"),
        ("`&lt;` `a\\*b`", "`&lt;` `a\\*b`"),
        (r"snake\_case\_name costs \$5 for C\#", "snake_case_name costs $5 for C#"),
        (r"1\. no list" + "\n" + r"\# no title" + "\n" + r"\> no quote", "1. no list\n# no title\n\u200a> no quote"),
        ("`` `x` `` and ``a`b``", "```\u200a`x`\u200a``` and ```a`b```"),
        (r"\`x\` and \`", "```\u200a`x`\u200a``` and `"),
        ("这是*斜体*文字，*也*是。*重点*内容", "这是\u200a_斜体_\u200a文字，*也*是。\u200a_重点_\u200a内容"),
        ("a ``` b", "a ``\u200a` b"),
        ("用`代码`写", "用\u200a`代码`写"),
        ("a\r\nb\r\n\r\n\r\n\r\nc", "a\nb\n\nc"),
        ("![a\nb](https://c.d)\n- e", "a\nb (https://c.d)\n- e"),
        ("a&#10;b&NewLine;c", "a&#10;b&NewLine;c"),
    ],
)
def test_markup_becomes_whatsapps(markdown: str, message: str) -> None:
    assert sent(markdown) == message


# --- any text ------------------------------------------------------------------------------------------------

PLAIN_CHARS = "".join(set(string.printable) - set("*_~`\\&<>[]|#-+=!.)\t\n\r\x0b\x0c"))
WORDS = st.lists(st.text(PLAIN_CHARS.replace(" ", "") + "é中あ한👍ع", min_size=1, max_size=12), min_size=1, max_size=12)
MARKS = st.sampled_from(["*", "**", "_", "__", "~", "~~", "***"])


@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=6).map("\n".join))
@settings(deadline=None)
def test_without_markup_each_byte_is_kept(text: str) -> None:
    assert sent(text) == text


@given(WORDS, MARKS, WORDS)
@settings(deadline=None)
def test_marks_inside_words_are_kept(before: list[str], mark: str, after: list[str]) -> None:
    ascii_words = [re.sub(r"[^A-Za-z0-9]", "", word) or "x" for word in [*before, *after]]
    text = " ".join(f"{word}{mark}{word}" for word in ascii_words)
    assert sent(text) == text


PATHS = st.text(string.ascii_letters + string.digits + "_*~-/.", max_size=30).map(lambda path: path + "x")
ADDRESSES = PATHS.filter(lambda path: "**" not in path and "~~" not in path).map(lambda path: f"https://a.b/{path}")


@given(st.lists(ADDRESSES | WORDS.map(" ".join), min_size=1, max_size=8), MARKS)
@settings(deadline=None)
def test_addresses_are_never_changed_bare_or_in_emphasis(pieces: list[str], mark: str) -> None:
    for text in (" ".join(pieces), f"{mark}{' '.join(pieces)}{mark}"):
        message = sent(text)
        assert [piece for piece in pieces if piece.startswith("https://") and piece not in message] == []


ANYTHING = st.lists(
    st.sampled_from(["*", "_", "~", "`", "**", "__", "~~", "\\", "[", "](", ")", "!", "<", ">", "&amp;", "```"])
    | st.sampled_from(
        [" ", "\n", "\n\n", "- ", "> ", "1. ", "# ", "| ", "word", "中文", "。", "(", "5", "https://a.b/_c_"]
    )
    | st.text(max_size=3),
    max_size=40,
).map("".join)


@given(ANYTHING)
@example("*_~" * 30)
@example("`*a` *b* `c`")
@example("*\n~~~word")
@settings(max_examples=500, deadline=None)
def test_no_letter_is_lost_or_added(text: str) -> None:
    """Letters and digits: anything else may be markup, such as the language of a block of code."""
    said = re.sub(r"&amp;|https://a.b/_c_|(?:```|~~~)\S*", "", text)
    assert letters(sent(said)) == letters(said)


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


@given(ANYTHING)
@settings(max_examples=500, deadline=None)
def test_both_readings_of_whatsapp_show_the_same_letters(text: str) -> None:
    message = sent(text)
    assert letters(show(message, Reading.LOOSE).text) == letters(show(message, Reading.STRICT).text) == letters(message)


@settings(max_examples=500)
@given(st.text(st.sampled_from("aBwW9 \t\n!?]){}(#-+=.:/|>@%'\"€ß中\u0301\u200d\u200a\u00a0😀"), max_size=24))
@example("Sure! [not")
@example("WWW.a.b")
@example("HTTP://a.b")
@example("a & b &amp; c")
def test_text_that_counts_as_unmarked_would_not_be_changed_by_reading_it(text: str) -> None:
    if has_no_marks(text):
        assert write_lines(read_inline(text)) == text


LINES = ["a", "B c", "- a", "- 1. # a", "1. a", "2) b", "3. - # a", "7.", "-", "---", "===", "+ a", "# a", "> a", "• a"]
LINES += [
    "    a",
    "\ta",
    "a ",
    "a\u00a0",
    "\u200b",
    "a | b",
    "|---|",
    "12 a",
    "",
    "",
    "😀",
    "a\r",
    "\u2003a",
    "-\u00a0a",
]


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from(LINES), max_size=6).map("\n".join)
    | st.text(st.sampled_from("a1-.)+=>#• \n\t\r"), max_size=9)
)
def test_plain_text_has_the_blocks_that_reading_it_would_give(text: str) -> None:
    if is_plain(text):
        *blocks, marked = to_blocks(f"{text}\n\n**x**")
        assert marked.text == "*x*"
        assert to_blocks(text) == (blocks or to_blocks(text))


@pytest.mark.parametrize(
    "text", ["Done.", "Two things:\n- milk\n- eggs\n\n1. First\n2. Zweitens", "• 3 €? “yes”!", "😀 ok"]
)
def test_most_answers_are_plain(text: str) -> None:
    assert is_plain(text)
    assert sent(text) == text

"""The text that people read in a Python file: docstrings, comments, messages and the names of tests."""

import ast
import re
from collections.abc import Iterator

from checks.passage import Found

# Distinguishes a sentence from a key, a path or an SQL statement.
SENTENCE = re.compile(r"[A-Za-z]{2,}[ ,].*[a-z]{2,}")
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|WITH|SET|BEGIN|COMMIT|LOCK|GRANT|ANALYZE)\b"
)
WORD_LIST = re.compile(r"\n[\sa-z\d_]+")
DIRECTIVE = re.compile(r"noqa|type: ignore|fmt: |mypy: ")
REPORTS = frozenset({"skip", "fail", "debug", "info", "warning", "error", "exception"})
END_OF_LINE = 1 << 30

Spans = dict[int, list[tuple[int, int]]]


def python_text(path: str, source: str, lines: list[str]) -> Iterator[Found]:
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = [node for node in map(_docstring, nodes) if node is not None]
    yield from (_placed("docstring", node, lines) for node in docstrings)
    yield from _test_names(nodes)
    yield from _messages(_reported(nodes) if path.startswith(("tests/", "benchmarks/")) else nodes, docstrings, lines)
    yield from comments(lines, "#", _string_spans(nodes))


def comments(lines: list[str], mark: str, strings: Spans) -> Iterator[Found]:
    """Comments that begin with the mark outside of strings. Consecutive lines in one column are one comment."""
    block: list[tuple[int, str]] = []
    block_column = -1
    for number, line in enumerate(lines, 1):
        column = _comment_column(line, mark, strings.get(number, []))
        text = _comment_text(line[column + len(mark) :]) if column >= 0 else ""
        whole_line = column >= 0 and not line[:column].strip()
        if block and not (text and whole_line and column == block_column):
            yield Found("comment", block)
            block = []
        if text:
            block.append((number, text))
            block_column = column if whole_line else -1
    if block:
        yield Found("comment", block)


def _comment_column(line: str, mark: str, strings: list[tuple[int, int]]) -> int:
    column = line.find(mark)
    while column >= 0:
        offset = len(line[:column].encode())
        if not any(begin <= offset < end for begin, end in strings):
            return column
        column = line.find(mark, column + 1)
    return -1


def _comment_text(text: str) -> str:
    """The words of a comment; of a linter's directive only the reason that follows it."""
    text = text.strip()
    if text.startswith("---"):
        return ""
    return text.partition(" - ")[2] if DIRECTIVE.match(text) else text


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return None
    match node.body[0]:
        case ast.Expr(value=ast.Constant(value=str()) as text):
            return text
    return None


def _test_names(nodes: list[ast.AST]) -> Iterator[Found]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Found("name", [(node.lineno, node.name.removeprefix("test_").replace("_", " "))])


def _reported(nodes: list[ast.AST]) -> list[ast.AST]:
    """The strings of tests that explain an outcome. All others are data."""
    reported: list[ast.AST] = []
    for node in nodes:
        match node:
            case ast.Assert(msg=ast.expr() as message):
                reported.append(message)
            case ast.Raise(exc=ast.Call(args=arguments)):
                reported += arguments
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in REPORTS:
                reported += arguments
    return reported


def _messages(nodes: list[ast.AST], docstrings: list[ast.Constant], lines: list[str]) -> Iterator[Found]:
    parts = {
        id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node
    }
    known = parts | {id(node) for node in docstrings} | _patterns(nodes)
    for node in nodes:
        if id(node) not in known and isinstance(node, ast.Constant | ast.JoinedStr):
            text = _text(node)
            if SENTENCE.search(text) and not SQL.match(text) and not WORD_LIST.fullmatch(text):
                yield _placed("message", node, lines)


def _patterns(nodes: list[ast.AST]) -> set[int]:
    """The strings of regular expressions: they hold the words of others."""
    patterns: set[int] = set()
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[pattern, *_]):
                patterns |= {id(part) for part in ast.walk(pattern)}
    return patterns


def _text(node: ast.AST) -> str:
    """The text of a string; a dot stands for each value that is formatted into it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(_text(part) if isinstance(part, ast.Constant) else "·" for part in getattr(node, "values", ()))


def _placed(kind: str, node: ast.Constant | ast.JoinedStr, lines: list[str]) -> Found:
    """The lines of a string, each with the line of the file that holds it. The last one may hold the escape."""
    number, last = node.lineno, node.end_lineno or node.lineno
    placed = []
    for text in _text(node).splitlines():
        start = text.partition("·")[0].strip()
        number = next((each for each in range(number, last + 1) if start in lines[each - 1]), number)
        placed.append((number, text))
    return Found(kind, placed, escape=last)


def _string_spans(nodes: list[ast.AST]) -> Spans:
    """By line, the columns (in bytes of UTF-8) that strings take."""
    spans: Spans = {}
    for node in nodes:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)):
            last = node.end_lineno or node.lineno
            for number in range(node.lineno, last + 1):
                begin = node.col_offset if number == node.lineno else 0
                end = (node.end_col_offset or 0) if number == last else END_OF_LINE
                spans.setdefault(number, []).append((begin, end))
    return spans

"""The statements of a function, and the lines that each of them takes."""

import ast
from collections.abc import Iterator

BLOCKS = ("body", "orelse", "finalbody")  # fields of a statement that hold others


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements in their order, each before those inside it; inner functions count as one."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            for name in BLOCKS:
                yield from statements(getattr(statement, name, []))


def lines_of(statement: ast.stmt) -> range:
    """The lines of a statement; for a compound statement those of its head."""
    inner = getattr(statement, "body", None)
    end = inner[0].lineno if inner else (statement.end_lineno or statement.lineno) + 1
    return range(statement.lineno, max(end, statement.lineno + 1))

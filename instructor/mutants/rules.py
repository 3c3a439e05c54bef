"""Small mistakes made by rule in the marked solutions, for the grader to notice.

Each mutant is the reference with one change in a region: an operator, a constant, an index, a
condition or a name is another one, arguments are exchanged, a call, an operand, a statement or a
step of a loop is left out, a tensor is clamped, later samples are taken for the first (DeMillo,
Lipton and Sayward 1978, "Hints on Test Data Selection").
"""

import ast
import builtins
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from autograder.extras.viva.statements import BLOCKS, statements

from instructor import ROOT
from instructor.cutting.regions import cut, unmarked
from instructor.submissions.overlay import Scenario

EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
OTHER: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
BOUNDARY = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
HELD = 5  # where a tensor is clamped: noise rarely gets there
FIRST = 16  # samples that are right where later ones are taken for the first
LATER = (
    f"(lambda y: y if y.dim() < 1 or len(y) <= {FIRST} else y[[*range({FIRST}), "
    f"*[0] * (len(y) - {FIRST})]])({{0}})"
)
ONE_WAY = (ast.Sub, ast.Div, ast.FloorDiv, ast.Pow, ast.MatMult)  # a op b is not b op a
MODULES = ("torch", "math", "F", "nn", "self")
SCHEDULE: tuple[str, ...] = (
    "betas",
    "sqrt_recip_alphas",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
)
SCHEDULE += ("posterior_variance",)


@dataclass(frozen=True)
class Mutant:
    """The reference with one change.

    Attributes:
        part: the id of the region's part.
        file: path in the submission.
        line: of the reference's own file, with its markers.
        change: "FUNCTION: before -> after", with a number where a function has it twice.
        text: the whole file, changed.
    """

    part: str
    file: str
    line: int
    change: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.part}: {self.file}:{self.line}: {self.change}"

    def submission(self, name: str) -> Scenario:
        """A whole submission of this name, wrong in this one place."""
        own = {self.file: self.text.encode()}
        return Scenario("wrong", name, self.change, "reference", fails=self.part, own=own)


def all_mutants() -> list[Mutant]:
    """The mutants of all regions, in the order of the files and lines."""
    found: list[Mutant] = []
    for path in sorted((ROOT / "code").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        if "# BEGIN SOLUTION" in text:
            found += mutants_of(text, name)
    return found


def mutants_of(text: str, file: str) -> list[Mutant]:
    """The mutants of a marked file; no two are the same code, and none is the reference."""
    tree = ast.parse(text)
    times, found = Counter[str](), []
    seen = {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for region in cut(text, file)[1]:
        lines = range(region.line + 1, region.line + len(region.lines) + 1)
        for change in changes(tree, lines):
            source = _replaced(text, change.node, change.code)
            more = len(source.split("\n")) - len(text.split("\n"))
            try:
                dump = ast.dump(_function(source, change.function, more))
            except SyntaxError:
                continue
            if dump in seen:
                continue
            seen.add(dump)
            what = " ".join(f"{change.function.name}: {change.before} -> {change.after}".split())
            times[what] += 1
            what += f" ({times[what]})" if times[what] > 1 else ""
            found.append(
                Mutant(region.part, file, change.node.lineno, what, unmarked(source)),
            )
    return found


@dataclass
class Change:
    """Code in place of a node of a function, and how both are called."""

    node: ast.stmt | ast.expr
    code: str
    function: ast.FunctionDef
    before: str
    after: str


def changes(tree: ast.Module, lines: range) -> Iterator[Change]:
    """The changes of what begins in these lines."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        bound = {
            argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)
        }
        for statement in statements(function.body):
            if statement.lineno in lines:
                yield from _of_statement(statement, function, bound)
            bound |= _names(statement, ast.Store)


def _of_statement(
    statement: ast.stmt, function: ast.FunctionDef, bound: set[str]
) -> Iterator[Change]:
    """Changes of one statement, apart from the statements inside it."""
    first = ast.unparse(statement).splitlines()[0]
    if isinstance(statement, ast.Expr | ast.AugAssign | ast.If):
        yield Change(statement, "pass", function, first, "nothing")
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if targets and set[str]().union(*map(_names, targets)) <= bound:
        yield Change(statement, "pass", function, first, "nothing")
    if isinstance(statement, ast.With):
        yield Change(statement, _block("if True:", statement), function, first, "without it")
    if isinstance(statement, ast.AugAssign) and type(statement.op) in OTHER:
        other = copy.deepcopy(statement)
        other.op = OTHER[type(statement.op)]()
        yield Change(statement, ast.unparse(other), function, first, ast.unparse(other))
    if isinstance(statement, ast.For):
        source = ast.unparse(statement.iter)
        for cut_ in ("[1:]", "[:-1]", "[::-1]"):
            yield Change(
                statement.iter, f"list({source}){cut_}", function, source, f"list({source}){cut_}"
            )
    expressions = [
        child
        for name, value in ast.iter_fields(statement)
        if name not in (*BLOCKS, "targets", "target")
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, ast.expr | ast.withitem)
    ]
    names = sorted(set[str]().union(*map(_names, expressions)) - {*MODULES})
    for value in _tensors(statement, function):
        source = ast.unparse(value)
        held = f"({source}).clamp(-{HELD}, {HELD})"
        yield Change(value, held, function, source, f"{source} clamped")
        yield Change(value, LATER.format(source), function, source, f"{source}, of the first later")
    for expression in expressions:
        called = {id(n.func) for n in ast.walk(expression) if isinstance(n, ast.Call)}
        bases = {id(n.value) for n in ast.walk(expression) if isinstance(n, ast.Attribute)}
        for node in ast.walk(expression):
            if not isinstance(node, ast.expr) or id(node) in called:
                continue
            others = [] if id(node) in bases else names
            for code in _of_expression(node, others, bound):
                before = ast.unparse(node)
                wrapped = f"({code})" if node is not expression or "\n" in before else code
                yield Change(node, wrapped, function, before, code)
    test = getattr(statement, "test", None)
    if test is not None and not isinstance(test, ast.Compare):  # whose operator is negated above
        negated = f"not ({ast.unparse(test)})"
        yield Change(test, negated, function, ast.unparse(test), negated)


def _tensors(statement: ast.stmt, function: ast.FunctionDef) -> Iterator[ast.expr]:
    """What a statement assigns or returns, and what its calls get, where that may be a tensor."""
    signature = [function.returns, *(a.annotation for a in function.args.args)]
    if not any("Tensor" in ast.unparse(annotation) for annotation in signature if annotation):
        return
    found = [statement.value] if isinstance(statement, ast.Assign | ast.Return) else []
    found += [a for call in ast.walk(statement) if isinstance(call, ast.Call) for a in call.args]
    for node in found:
        if not isinstance(node, ast.BinOp | ast.Call) or "math." in ast.unparse(node):
            continue
        if not hasattr(builtins, ast.unparse(getattr(node, "func", node))):
            yield node


def _of_expression(node: ast.expr, names: list[str], bound: set[str]) -> Iterator[str]:
    """Code in the place of an expression, for changes of the expression itself."""
    if isinstance(node, ast.BinOp):
        left, right = ast.unparse(node.left), ast.unparse(node.right)
        if type(node.op) in OTHER:
            yield ast.unparse(ast.BinOp(node.left, OTHER[type(node.op)](), node.right))
        if isinstance(node.op, ONE_WAY):
            yield ast.unparse(ast.BinOp(node.right, node.op, node.left))
        yield from (left, right)
    elif isinstance(node, ast.UnaryOp):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for table in (OTHER, BOUNDARY):
            if type(node.ops[0]) in table:
                op = table[type(node.ops[0])]()
                yield ast.unparse(ast.Compare(node.left, [op], node.comparators))
    elif isinstance(node, ast.IfExp):
        yield ast.unparse(ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node.value)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name | ast.BinOp):
        for step in (" + 1", " - 1"):
            yield f"{ast.unparse(node.value)}[{ast.unparse(node.slice)}{step}]"
    elif isinstance(node, ast.Attribute) and node.attr in SCHEDULE:
        for name in SCHEDULE:
            if name != node.attr:
                yield f"{ast.unparse(node.value)}.{name}"
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        others = [name for name in names if name in bound]
        yield from others[others.index(node.id) - 1 :][:1] if len(others) > 1 else ()


def _of_constant(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield repr(not value)
    elif isinstance(value, int):
        yield from (repr(value + 1), repr(value - 1))
    elif isinstance(value, float):
        yield from (repr(value * 2), repr(value / 2)) if value else ("1.0",)


def _of_call(node: ast.Call) -> Iterator[str]:
    """The call left out, two neighbouring arguments exchanged, a named one left out."""
    receiver = getattr(node.func, "value", None)
    is_method = receiver is not None and ast.unparse(receiver) not in MODULES
    if is_method:
        yield ast.unparse(receiver)
    plain = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
    if not is_method and plain:
        yield ast.unparse(plain[0])
    for i in range(len(node.args) - 1):
        other = copy.deepcopy(node)
        other.args[i : i + 2] = other.args[i + 1], other.args[i]
        yield ast.unparse(other)
    for i in range(len(node.keywords)):
        other = copy.deepcopy(node)
        del other.keywords[i]
        yield ast.unparse(other)


def _block(head: str, statement: ast.With) -> str:
    """The statements of a `with` below another head."""
    inside = [f"\n{' ' * line.col_offset}{ast.unparse(line)}" for line in statement.body]
    return head + "".join(inside)


def _replaced(text: str, node: ast.stmt | ast.expr, code: str) -> str:
    """A text with code in the place of a node."""
    lines = text.encode().splitlines(keepends=True)
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    end = node.end_lineno or node.lineno
    after = lines[end - 1][node.end_col_offset :] + b"".join(lines[end:])
    return (before + code.encode() + after).decode()


def _function(source: str, before: ast.FunctionDef, more: int) -> ast.stmt:
    """The function of a changed text that has so many lines more; raises SyntaxError."""
    lines = source.split("\n")[before.lineno - 1 : (before.end_lineno or 0) + more]
    head = "class Kept:\n" if before.col_offset else ""
    (found,) = ast.parse(head + "\n".join(lines)).body
    return found.body[0] if isinstance(found, ast.ClassDef) else found


def _names(node: ast.AST, context: type = ast.expr_context) -> set[str]:
    """The names in a tree that are read, or stored."""
    nodes = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    return {n.id for n in nodes if isinstance(n.ctx, context)}


def equivalents() -> dict[str, dict[str, str]]:
    """The mutants that nobody can tell from the reference: by part the change, and why."""
    found = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or {}
    return {part: dict(changes) for part, changes in found.items()}

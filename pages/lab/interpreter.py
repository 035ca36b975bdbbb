"""A student's text, read and carried out op by op, so that it never runs as Python.

The text is parsed, and of its syntax tree only what stands here is followed: functions,
assignments, arithmetic, indexing, `if` on numbers, and calls to the ops of `OPS`. Anything else
ends in one sentence with its line. A value is a number, None, a tensor, a dtype, or a tuple of
these; there is no way from a name in the text to any other object of Python: names are looked up
in dictionaries of this module, and only in these.

Text, steps, sizes, depth and time have budgets; how large a result is, is known before an op runs.
"""

from __future__ import annotations

import ast
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from normlib.exercises.checks import Stopped, in_words
from pages.lab.basic_ops import (
    BUILTINS,
    KEYWORDS,
    MOST_AXES,
    MOST_ITEMS,
    OPS,
    Op,
    as_many,
    broadcast,
    instead_of,
    is_tensor,
    items,
    matmul,
    power,
    single,
    size,
)

MOST_CHARACTERS, MOST_NODES, MOST_DEPTH = 10_000, 3_000, 60
MOST_STEPS, MOST_CALLS = 3_000, 20
LARGEST = 1e15


class Limits(NamedTuple):
    """What a text may use: numbers in one tensor, numbers that one call of its function reads or
    makes, and seconds of the processor in all."""

    tensor: float
    call: float
    seconds: float


CHECKING, TRAINING = Limits(1e5, 1e6, 1), Limits(2e6, 4e7, 60)


def function_of(text: str, name: str, limits: Limits = CHECKING) -> Callable[..., Any]:
    """The function that a text defines under this name, to be called with tensors and numbers.

    Raises Stopped, with a sentence, for a text that is not one of ours, now or when called.
    """
    program = _Program(limits)
    program.guarded(program.read, text)
    if name not in program.functions:
        raise Stopped(f"There is no function `{name}` in the text.")
    function = program.functions[name]
    return lambda *arguments: program.guarded(program.call, function, function, arguments, {})


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_REDUCE = "a reduction over an axis does it"
_HINTS = {
    "For": f"`for` is not among the basic ops; {_REDUCE}",
    "While": f"`while` is not among the basic ops; {_REDUCE}",
    "ListComp": f"a comprehension is not among the basic ops; {_REDUCE}",
    "GeneratorExp": f"a generator is not among the basic ops; {_REDUCE}",
    "Import": "`import` is not needed: tf is here already",
    "ImportFrom": "`import` is not needed: tf is here already",
    "With": "`with` is not needed: gradients are found outside",
    "ClassDef": "a class is not needed: a function does it",
    "Lambda": "write a function with `def`, not with `lambda`",
    "FunctionDef": "write functions at the left margin, one below the other",
    "Expr": "a line that only calls something changes nothing here: give the result a name",
    "Constant": "texts are not understood here; a dtype is tf.float32 or x.dtype",
    "JoinedStr": "texts are not understood here",
    "NamedExpr": "give a name on a line of its own, with `=`",
}


class _Returned(Exception):
    def __init__(self, value: Any):
        self.value = value


class _Program:
    """A parsed text with its functions and what is left of its budgets."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.functions: dict[str, ast.FunctionDef] = {}
        self.constants: dict[str, Any] = {}
        self.steps, self.depth, self.numbers = 0, 0, 0.0
        self.ends: float | None = None

    def guarded(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """Run what follows the text, with a call's budgets."""
        self.steps, self.depth, self.numbers = 0, 0, 0.0
        try:
            return run(*arguments)
        except RecursionError:
            raise Stopped("The text is nested too deeply.") from None

    def read(self, text: str) -> None:
        for node in _parsed(text).body:
            if isinstance(node, ast.FunctionDef):
                self.functions[node.name] = node
            elif isinstance(node, ast.Return):
                _refuse(node, "`return` belongs into a function")
            elif not _is_tensorflow(node):
                self._run(node, self.constants)

    def call(
        self,
        node: ast.AST,
        function: ast.FunctionDef,
        values: Sequence[Any],
        named: Mapping[str, Any],
    ) -> Any:
        """What a function of the text returns, called at this node."""
        spec = function.args
        if spec.vararg or spec.kwarg or spec.posonlyargs or spec.kwonlyargs:
            _refuse(function, "only plain arguments are understood")
        if function.decorator_list:
            _refuse(function, "decorators are not understood")
        self.depth += 1
        if self.depth > MOST_CALLS:
            _refuse(node, "functions call each other too deeply")
        names = [argument.arg for argument in spec.args]
        with_default = names[len(names) - len(spec.defaults) :]
        local = {
            name: self._value(default, self.constants)
            for name, default in zip(with_default, spec.defaults, strict=True)
        }
        given = dict(zip(names, values, strict=False)) | dict(named)
        if len(values) > len(names) or not set(given) <= set(names):
            _refuse(node, f"{function.name} takes {', '.join(names) or 'nothing'}")
        local |= given
        if missing := [name for name in names if name not in local]:
            _refuse(node, f"{function.name} needs {', '.join(missing)}, too")
        returned = None
        try:
            self._block(function.body, local)
        except _Returned as end:
            returned = end.value
        self.depth -= 1
        return returned

    # ---- statements

    def _block(self, body: Sequence[ast.stmt], local: dict[str, Any]) -> None:
        for node in body:
            self._run(node, local)

    def _run(self, node: ast.stmt, local: dict[str, Any]) -> None:
        self._count(node)
        match node:
            case ast.Return():
                raise _Returned(None if node.value is None else self._value(node.value, local))
            case ast.Assign():
                value = self._value(node.value, local)
                for target in node.targets:
                    self._assign(target, value, local)
            case ast.AnnAssign() if node.value is not None:
                self._assign(node.target, self._value(node.value, local), local)
            case ast.AugAssign(target=ast.Name() as target):
                old = self._value(ast.copy_location(ast.Name(target.id), target), local)
                new = self._binary(node, node.op, old, self._value(node.value, local))
                self._assign(target, new, local)
            case ast.AugAssign():
                self._assign(node.target, None, local)
            case ast.If():
                self._block(node.body if self._truth(node.test, local) else node.orelse, local)
            case ast.Pass() | ast.Expr(value=ast.Constant()):  # a docstring, or ...
                pass
            case _:
                _refuse(node)

    def _assign(self, target: ast.expr, value: Any, local: dict[str, Any]) -> None:
        match target:
            case ast.Name():
                if target.id in (*BUILTINS, "tf") or target.id.startswith("__"):
                    _refuse(target, f"`{target.id}` cannot be given another meaning")
                local[target.id] = value
            case ast.Tuple() | ast.List():
                parts = self._safely(target, items, value)
                if len(parts) != len(target.elts):
                    _refuse(target, f"{len(parts)} values for {len(target.elts)} names")
                for one, part in zip(target.elts, parts, strict=True):
                    self._assign(one, part, local)
            case _:
                _refuse(target, "a tensor cannot be changed in place: make a new one")

    # ---- expressions

    def _value(self, node: ast.expr, local: Mapping[str, Any]) -> Any:
        self._count(node)
        match node:
            case ast.Constant(value=int() | float() | None as value):
                return self._number(node, value)
            case ast.Constant(value=value) if value is Ellipsis:
                return Ellipsis
            case ast.Name():
                for names in (local, self.constants):
                    if node.id in names:
                        return names[node.id]
                _refuse(node, f"`{node.id}` is not known here")
            case ast.Tuple() | ast.List():
                return self._tuple(node, tuple(self._value(one, local) for one in node.elts))
            case ast.BinOp():
                left, right = self._value(node.left, local), self._value(node.right, local)
                return self._binary(node, node.op, left, right)
            case ast.UnaryOp(op=ast.Not()):
                return not self._truth(node.operand, local)
            case ast.UnaryOp() if type(node.op) in _UNARY:
                value = self._value(node.operand, local)
                return self._op(node, (_UNARY[type(node.op)], as_many), (value,), {})
            case ast.BoolOp():
                for one in node.values:
                    value = self._value(one, local)
                    if self._is_true(one, value) is isinstance(node.op, ast.Or):
                        break
                return value
            case ast.Compare():
                return self._compare(node, local)
            case ast.IfExp():
                chosen = node.body if self._truth(node.test, local) else node.orelse
                return self._value(chosen, local)
            case ast.Subscript():
                value, index = self._value(node.value, local), self._index(node.slice, local)
                if isinstance(value, tuple) or is_tensor(value):
                    pick = operator.itemgetter(index)
                    return self._op(node, (pick, as_many), (value,), {})
                _refuse(node, "only tensors and tuples can be indexed")
            case ast.Attribute():
                return self._attribute(node, local)
            case ast.Call():
                return self._called(node, local)
        _refuse(node)

    def _binary(self, node: ast.AST, op: ast.operator, left: Any, right: Any) -> Any:
        if type(op) not in _BINARY:
            _refuse(node, "this is no arithmetic of tensors")
        run = _BINARY[type(op)]
        if isinstance(left, tuple) or isinstance(right, tuple):
            if not (isinstance(left, tuple) and isinstance(right, tuple) and run is operator.add):
                _refuse(node, "a tuple can only be added to a tuple")
            return self._tuple(node, left + right)
        if is_tensor(left) or is_tensor(right):
            if run in (operator.floordiv, operator.mod):
                _refuse(node, "`//` and `%` are for numbers, not for tensors")
            bound = matmul if run is operator.matmul else broadcast
            return self._op(node, (run, bound), (left, right), {})
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            _refuse(node, "this is no arithmetic of numbers and tensors")
        if run is operator.pow:  # by way of floats first: whole numbers could grow without end
            self._number(node, self._safely(node, power, left, right))
        return self._number(node, self._safely(node, run, left, right))

    def _compare(self, node: ast.Compare, local: Mapping[str, Any]) -> Any:
        left, outcome = self._value(node.left, local), True
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other, local)
            if isinstance(op, ast.Is | ast.IsNot) and right is None:
                outcome = (left is None) is isinstance(op, ast.Is)
            elif type(op) not in _COMPARE or (len(node.ops) > 1 and is_tensor(left)):
                _refuse(node, "this comparison is not understood here")
            elif any(isinstance(item, tuple) or is_tensor(item) for item in _flat(left, right)):
                _refuse(node, "tuples of tensors cannot be compared")
            else:
                bound = broadcast if is_tensor(left) or is_tensor(right) else single
                outcome = self._op(node, (_COMPARE[type(op)], bound), (left, right), {})
            if not is_tensor(outcome) and not outcome:
                return False
            left = right
        return outcome

    def _truth(self, node: ast.expr, local: Mapping[str, Any]) -> bool:
        return self._is_true(node, self._value(node, local))

    def _is_true(self, node: ast.expr, value: Any) -> bool:
        if is_tensor(value) and value.shape.rank != 0:
            _refuse(node, "`if` needs one number, and this is a tensor")
        return bool(value)

    def _index(self, node: ast.expr, local: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return slice(*(None if part is None else self._value(part, local) for part in parts))
        if isinstance(node, ast.Tuple):
            return tuple(self._index(one, local) for one in node.elts)
        return self._value(node, local)

    def _attribute(self, node: ast.Attribute, local: Mapping[str, Any]) -> Any:
        dotted = _dotted(node)
        if dotted in OPS and not isinstance(OPS[dotted], tuple):
            return OPS[dotted]
        if dotted.startswith("tf."):
            _refuse(node, f"`{dotted}` is not among the basic ops{instead_of(dotted)}")
        value = self._value(node.value, local)
        if is_tensor(value) and node.attr == "shape":
            return tuple(value.shape)
        if is_tensor(value) and node.attr == "dtype":
            return value.dtype
        _refuse(node, f"`.{node.attr}` is not understood; a tensor has .shape and .dtype here")

    def _called(self, node: ast.Call, local: Mapping[str, Any]) -> Any:
        if any(isinstance(one, ast.Starred) for one in node.args) or not all(
            keyword.arg for keyword in node.keywords
        ):
            _refuse(node, "arguments are written one by one, without a star")
        own = isinstance(node.func, ast.Name) and self.functions.get(node.func.id)
        if not own and (strange := {str(one.arg) for one in node.keywords} - KEYWORDS):
            _refuse(node, f"give {', '.join(sorted(strange))} without its name")
        dotted = _dotted(node.func)
        op = OPS.get(dotted) or BUILTINS.get(dotted)
        if not own and not isinstance(op, tuple):
            _refuse(node, f"`{dotted or 'this'}` is not among the basic ops{instead_of(dotted)}")
        values = [self._value(one, local) for one in node.args]
        named = {str(one.arg): self._value(one.value, local) for one in node.keywords}
        if own:
            return self.call(node, own, values, named)
        assert isinstance(op, tuple)
        return self._op(node, op, values, named)

    # ---- budgets

    def _op(self, node: ast.AST, op: Op, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Carry an op out, once it is known how many numbers it gives."""
        run, bound = op
        made = self._safely(node, bound, *values, **named)
        self.numbers += max(made, sum(map(size, values)))
        if not (made <= self.limits.tensor and self.numbers <= self.limits.call):
            _refuse(
                node,
                f"these are too many numbers; a tensor has at most {self.limits.tensor:,.0f} here",
            )
        result = self._safely(node, run, *values, **named)
        if is_tensor(result) and (0 in result.shape or result.shape.rank > MOST_AXES):
            _refuse(node, f"a tensor of shape {tuple(result.shape)} is not understood here")
        if isinstance(result, tuple):
            return self._tuple(node, result)
        return self._number(node, result)

    def _safely(self, node: ast.AST, run: Callable[..., Any], *values: Any, **named: Any) -> Any:
        try:
            return run(*values, **named)
        except RecursionError:
            raise
        except Exception as error:  # an op's own words, which are for whoever wrote the text
            words = in_words(error).partition(": ")[2].strip().removesuffix(".")
            _refuse(node, words[:300] or type(error).__name__)

    def _number(self, node: ast.AST, value: Any) -> Any:
        if isinstance(value, complex) or (isinstance(value, int | float) and abs(value) > LARGEST):
            _refuse(node, f"numbers go up to {LARGEST:g} here")
        return value

    def _tuple(self, node: ast.AST, value: tuple[Any, ...]) -> tuple[Any, ...]:
        """A tuple may be one of tuples, but no deeper: so all that is in it can be counted."""
        nested = any(
            isinstance(part, tuple) for one in value if isinstance(one, tuple) for part in one
        )
        if len(value) > MOST_ITEMS or nested:
            _refuse(node, f"a tuple has at most {MOST_ITEMS} items here, or tuples of numbers")
        return value

    def _count(self, node: ast.AST) -> None:
        self.steps += 1
        now = time.thread_time()
        self.ends = self.ends or now + self.limits.seconds
        if self.steps > MOST_STEPS or now > self.ends:
            _refuse(node, "this takes too long")


def _parsed(text: str) -> ast.Module:
    """The tree of a text; Stopped where it is no Python, or too large or deep to be followed."""
    if len(text) > MOST_CHARACTERS:
        raise Stopped(f"The text has more than {MOST_CHARACTERS:,} characters.")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise Stopped(f"Line {error.lineno or 1}: {error.msg.partition(':')[0]}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise Stopped("The text cannot be read.") from None
    level: list[ast.AST] = [tree]
    nodes = 0
    for _ in range(MOST_DEPTH):
        nodes += len(level)
        if nodes > MOST_NODES:
            raise Stopped("The text is too long.")
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise Stopped("The text is nested too deeply.")


def _refuse(node: ast.AST, why: str = "") -> NoReturn:
    kind = type(node).__name__
    why = why or _HINTS.get(kind, f"`{kind.lower()}` is not understood here")
    raise Stopped(f"Line {getattr(node, 'lineno', 1)}: {why}.")


def _is_tensorflow(node: ast.stmt) -> bool:
    """`import tensorflow as tf`, with which a file begins."""
    return isinstance(node, ast.Import) and [(one.name, one.asname) for one in node.names] == [
        ("tensorflow", "tf")
    ]


def _dotted(node: ast.expr) -> str:
    """`tf.math.rsqrt` for the tree of it; "" for anything that is not names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := _dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def _flat(*values: Any) -> list[Any]:
    """The items of those that are tuples."""
    return [item for value in values if isinstance(value, tuple) for item in value]

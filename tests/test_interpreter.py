"""A student's text is carried out op by op: right ones run, hostile ones end in a sentence."""

import resource
import time

import pytest
from solutions import BODIES, STYLES, solution

from normlib.exercises import check
from normlib.exercises.checks import Stopped
from pages.lab.interpreter import function_of

# Each is the body of `def f(x, epsilon):` for the exercise x_hat.
HOSTILE = {
    "attributes": """
        return x.__class__
        return x.__class__.__mro__[1].__subclasses__()
        return ().__class__
        return tf.__dict__
        return tf.io.read_file(x)
        return tf.math.__loader__
        return tf.py_function(x, [x], tf.float32)
        return tf.numpy_function
        return x.numpy()
        return x.shape.__init__
        return x.dtype.as_numpy_dtype
        return f.__globals__
        return (1.0).real
        return epsilon.hex()
        return tf.sqrt.__wrapped__
        tf.sqrt = tf.square
        x.shape = (1, 2)
        del x.shape
        return x._numpy()
        return tf.keras.layers.Dense(1)(x)
    """,
    "names": """
        return __import__
        return __builtins__
        return eval
        return exec
        return open(x)
        return getattr(x, epsilon)
        return globals()
        return vars()
        return print(x)
        return type(x)
        return ｅｖａｌ(x)
        return __ｉｍｐｏｒｔ__
        return np.ones(3)
        return tｆ.nonexistent(x)
        return self
        tf = x
        len = x
        __x = x
        range, y = x, x
        return f
        return tf
        return tf.math
    """,
    "syntax": """
        return [x for _ in range(10 ** 9)]
        return {x: x for x in (1,)}
        return (y for y in x)
        return {x}
        return lambda: x
        return (y := x)
        return f"{x.__class__}"
        return "a" * 10 ** 9
        return b"a"
        return x.shape[*x]
        return tf.add(*(x, x))
        return tf.add(**x)
        return max((1, 2), key=len)
        return int(x, base=2)
        return 1j * x
        return x if x else x
        return x or x
        return x[()][..., None, None, None, None, None, None, None, None]
        return x is x
        return x in x
        return (yield x)
        return await x
        for _ in range(10): x = x
        while True: pass
        import os
        import tensorflow
        import tensorflow as tf, os
        from os import system
        with x: pass
        try: x
        assert x
        raise x
        global x
        nonlocal x
        class A: pass
        def g(): return x
        del x
        x[0] = x
        x[0] += x
        x.y += x
        *x, y = (1, 2)
        print(x)
        match x: pass
        return (lambda: (yield))()
        async def g(): pass
    """,
    "sizes": """
        return x + tf.ones((10 ** 5, 10 ** 5))
        return tf.ones((10 ** 9,))
        return tf.ones(tf.constant((10 ** 5, 10 ** 5)))
        return tf.zeros((0, 10 ** 12, 10 ** 12))
        return tf.zeros((-10 ** 6, 10 ** 6))
        return tf.zeros((1,) * 99)
        return tf.fill((10 ** 5, 10 ** 5), 1.0)
        return tf.eye(10 ** 5)
        return tf.eye(10, 10, (10 ** 4, 10 ** 4))
        return tf.constant(0.0, tf.float32, (10 ** 5, 10 ** 5))
        return tf.constant(0.0, shape=(10 ** 5, 10 ** 5))
        return tf.ones(shape=(10 ** 5, 10 ** 5))
        return tf.tile(x, (10 ** 5, 10 ** 5))
        return tf.tile(x, tf.constant((10 ** 5, 10 ** 5)))
        return tf.broadcast_to(x[0, 0], (10 ** 5, 10 ** 5))
        return tf.reshape(x[:0], (0, 10 ** 12, 10 ** 12))
        return tf.reshape(tf.ones((10 ** 5,)), (-1, 1)) + tf.ones((10 ** 5,))
        return tf.ones((10 ** 5, 1)) @ tf.ones((1, 10 ** 5))
        return tf.matmul(tf.ones((1, 10 ** 5)), tf.ones((1, 10 ** 5)), transpose_a=True)
        return tf.matmul(tf.ones((9, 1, 10 ** 4, 1)), tf.ones((1, 9, 1, 10 ** 4)))
        return tf.ones((10 ** 5, 1)) == tf.ones((1, 10 ** 5))
        return tf.ones((10 ** 5, 1)) < tf.ones((1, 10 ** 5)) < 1
        return (tf.ones((10 ** 5, 1)),) == (tf.ones((1, 10 ** 5)),)
        return min(tf.ones((10 ** 5, 1)), tf.ones((1, 10 ** 5)))
        return max((tf.ones((10 ** 5, 1)), tf.ones((1, 10 ** 5))))
        return tf.maximum(tf.ones((10 ** 5, 1)), tf.ones((1, 10 ** 5)))
        return tf.where(x > 0)
        return tf.where(tf.ones((10 ** 5, 1)) > 0, tf.ones((10 ** 5,)), x[0, 0])
        return tf.ones((10 ** 5, 1)) ** tf.ones((1, 10 ** 5))
        return tf.math.squared_difference(tf.ones((10 ** 5, 1)), tf.ones((1, 10 ** 5)))
        y = tf.ones((10 ** 5,)); z = tf.stack((y,) + (y, y)); return tf.stack((z, z, z))
        y = tf.ones((10 ** 4,)); return tf.concat((y, y, y, y, y, y, y, y, y, y, y), 0)
        a = (1.0, 1.0, 1.0); a = (a, a, a); a = (a, a, a); return tf.constant(a)
        a = tuple(range(100)); return tf.constant((a, a) + (a, a)) * range(10 ** 9)
        return tuple(tf.ones((10 ** 5,)))
        return (1,) * 10 ** 9
        a = (1,); a += a; a += a; a += a; a += a; a += a; a += a; a += a; return a
        a, b = tf.ones((10 ** 5,))
        return len(range(10 ** 18))
        return x[tf.ones((10 ** 5,)) > 0]
        return tf.transpose(x, (5, -7, 10 ** 9))
        return tf.transpose(x, tf.ones((10 ** 5,)))
        return tf.reduce_sum(x, tuple(range(100)))
        return tf.reduce_sum(x, 10 ** 15)
        return tf.expand_dims(x, 10 ** 12)
        return tf.squeeze(x, (0, 1, 2, 3))
        return tf.cast(x, x)
        return tf.norm(x, 2, (0, 1))
        return tf.concat(x, 10 ** 9)
        return tf.stack(10)
        return tf.range(10 ** 9)
        return tf.random.normal((10 ** 9,))
        return tf.reduce_mean(tf.shape(x)[0:0]) * x
        y = tf.tile(x, (6000, 1)); y = y ** y; return x * tf.reduce_sum(y ** y)
        y = tf.ones((300, 300), x.dtype) * x[0, 0]; return x * tf.reduce_sum(y @ y @ y)
        return x * tf.reduce_prod(tf.reduce_prod(tf.tile(x, (6000, 1)), 1))
        return tf.ones(tf.cast(tf.stack((tf.sqrt(-1.0), 2.0)), tf.int32))
        return tf.ones(tf.cast((9000000, 9000000), tf.int64) * 1000)
        return x[10 ** 15 : -(10 ** 15) : -1]
    """,
    "numbers": """
        return x * 9 ** 9 ** 9
        return x * 10 ** 400
        return 10.0 ** 400
        return 1e400 * x
        return int(1e308)
        return int(1e15) * int(1e15) * x
        return 2 ** 2 ** 2 ** 2 ** 2
        return (-8) ** 0.5
        return 0 ** -1
        return 1 / 0
        return 1 % 0 * x
        return 1 << 10 ** 9
        return tf.shape(x) // tf.zeros_like(tf.shape(x))
        return tf.shape(x) % 0
        return int(x) + float(x)
        return range(0, 10, 0)
        return tf.constant(10 ** 12, tf.int32)
        return ~x
        y = tf.shape(x) ** -1; return x * tf.cast(y[0], x.dtype)
        y = tf.math.divide_no_nan(tf.shape(x), 0); return x * tf.cast(y[0], x.dtype)
        return x * tf.cast(tf.math.reciprocal(tf.shape(x) * 0)[0], x.dtype)
        return x & x
        return -(1, 2)
        return abs((1, 2))
        return not x
    """,
    "results": """
        return
        x = x
        return ...
        return None
        return 1.5
        return x > 0
        return x.dtype
        return tf.float32
        return (x, (1, x), 3), x
        return x, x
        return (x, x), x
        return tf.cast(x, tf.int32)
        return x if x.shape[0] == 7 else x > 0
        return x if x.shape[0] == 7 else None
    """,
}
LONG = {  # bodies that are
    "a minus": "return " + "-" * 9_000 + "x",
    "a not": "return " + "not " * 2_000 + "x",
    "a sum": "return x" + "+1" * 4_000,
    "an index": "return x" + "[0]" * 3_000,
    "attributes": "return x" + ".a" * 4_000,
    "parentheses": "return " + "(" * 4_000 + "x" + ")" * 4_000,
    "a call": "return " + "f(" * 90 + "x" + ")" * 90,
    "an if": "if x:\n" + "".join(" " * i + "if x:\n" for i in range(5, 99)) + " " * 99 + "return x",
    "a number": "return " + "9" * 5_000,
    "lines": "x=x\n    " * 1_200 + "return x",
    "a comment": "return x\n" + "#" * 10_000,
    "large tensors": "y = tf.ones((90000,))\n    " + "y, z = y + 1, y\n    " * 300 + "return x",
    "large products": "y = tf.ones((300, 300))\n    " + "y = y @ y\n    " * 300 + "return x",
    "recursion": "return " + "-" * 40 + "f(x, epsilon)",
}
WHOLE = (
    "def f(x, e):\n    return g(x, e)\ndef g(x, e):\n    return f(x, e) + f(x, e)",
    "def f(x, e, a=f(1, 2)):\n    return x",
    "def f(x, e):\n    return g()\ndef g(a=g()):\n    return a",
    "def f(x, e):\n    return p0(x)\ndef p15(x):\n    return x + 1\n"
    + "".join(f"def p{i}(x):\n    return p{i + 1}(p{i + 1}(x))\n" for i in range(15)),
    *("def f(x, e:\n    return x", "def f(*x):\n    return x", "def f(x, *, e):\n    return x"),
    *("def f(x):\n    return x", "@tf.function\ndef f(x, e):\n    return x"),
    *("return 1\ndef f(x, e):\n    return x * 2", "while True:\n    pass", "x = 1", "", "\0"),
    *("a = tf.ones((10**5, 10**5))\ndef f(x, e):\n    return a", "def g(x, e):\n    return x"),
    "def f(x, e):\n    return '\ud800'",
)


def hostile():
    for kind, lines in HOSTILE.items():
        for line in lines.strip().splitlines():
            body = line.strip()
            yield f"{kind}: {body}", f"def f(x, epsilon):\n    {body}"
    for name, body in LONG.items():
        yield f"long: {name}", f"def f(x, epsilon):\n    {body}"
    yield from ((text[:60], text) for text in WHOLE)


def sentence(text: str) -> str:
    """What the checks say of this text for the exercise x_hat; "" if it passes."""
    try:
        result = check("x_hat", function_of(text, "f"), "")
    except Stopped as stopped:
        return str(stopped)
    return "" if result.passed else next(tick for tick in result.ticks if not tick.passed).detail


def test_hostile_texts_end_in_a_sentence_within_a_second_and_200_megabytes():
    sentence("def f(x, epsilon):\n    return x")  # loads what is loaded once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts = dict(hostile())
    assert len(texts) > 60
    for name, text in texts.items():
        began = time.process_time()
        said = sentence(text)
        assert time.process_time() - began < 1, name
        assert said and "\n" not in said and "object at" not in said, (name, said)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert used < 200 * 1024, (name, used)


@pytest.mark.parametrize("style", STYLES)
def test_right_solutions_of_every_exercise_pass(style):
    for exercise in BODIES:
        text = solution(exercise, style)
        result = check(exercise, function_of(text, exercise), text)
        assert result.passed, (exercise, [tick for tick in result.ticks if not tick.passed])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return x.mean(0)", "Line 2: `x.mean` is not among the basic ops; tf.reduce_mean is."),
        ("return np.sqrt(x)", "Line 2: `np.sqrt` is not among the basic ops; tf.sqrt is."),
        ("return tf.rsqrt(x)", "Line 2: `tf.rsqrt` is not among the basic ops; tf.math.rsqrt is."),
        ("return tf.nn.moments(x, 0)", "Line 2: `tf.nn.moments` is not among the basic ops."),
        (
            "return x - tf.reduce_mean(x, 1)",
            "Line 2: shapes (7, 2) and (7,) do not go together; keepdims=True in a reduction "
            "keeps its axis as 1.",
        ),
    ],
)
def test_a_sentence_says_what_to_do(body, said):
    assert sentence(f"def f(x, epsilon):\n    {body}") == said

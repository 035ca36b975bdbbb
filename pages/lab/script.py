"""A run as one plain Python file that repeats it without this project, bit for bit.

The file is put together from normlib's own source: the definitions that `script_main.main` reaches,
in their order, under the settings of the run. So it cannot drift from what the lab does.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from importlib import import_module
from typing import NamedTuple

from normlib.config import METHODS, TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run

# From the ground up, as a file is read; what stands later may use what stands before.
MODULES = (
    *("normlib.config", "normlib.runtime", "normlib.normalize"),
    *("normlib.gradients", "normlib.fast", "normlib.layers", "normlib.cnn", "normlib.deep"),
    "normlib.training",
    "pages.lab.script_main",
)
ROOT = ("pages.lab.script_main", "main")
# These stand at the top of each script; a config is there nothing but its settings.
SETTINGS = {"CONFIG", "CHECKSUM", "VALIDATION_IMAGES", "TrainConfig"}

_PREPARATION = """\
# How an op splits its sums over threads or a graphics card decides their last bits.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.set_visible_devices([], "GPU")"""


class Definition(NamedTuple):
    """A function, class or constant at the top level of a module, and the names it uses."""

    module: str
    name: str
    line: int
    source: str
    uses: frozenset[tuple[str, str]]  # (module, name) within MODULES
    imports: frozenset[str]  # import statements of everything else


def write(config: TrainConfig, data: Dataset, run: Run | None = None) -> str:
    """The script that repeats the training of `config` on `data`, printing the loss of each step.

    run: its result is quoted in the script's first lines.
    """
    parts = definitions()
    imports = {"from types import SimpleNamespace", *(i for part in parts for i in part.imports)}
    lines = [f"    {name}={value!r}," for name, value in asdict(config.only_used()).items()]
    settings = [
        "TrainConfig = SimpleNamespace",
        "CONFIG = TrainConfig(",
        *lines,
        ")",
        f"VALIDATION_IMAGES = {len(data.validation_labels)}  # the first of the training images",
        f'CHECKSUM = "{data.checksum}"  # SHA-256 of the arrays',
    ]
    blocks = [
        _head(config, data, run)
        + "\n\nfrom __future__ import annotations\n\n"
        + "\n".join(sorted(imports, key=_import_order)),
        _PREPARATION,
        "\n".join(settings),
        *(part.source for part in parts),
        'if __name__ == "__main__":\n    main()',
    ]
    return "\n\n\n".join(blocks) + "\n"


def file_name(config: TrainConfig) -> str:
    """`batch_norm_seed_0.py`: what the script is called when it is saved."""
    words = METHODS[config.normalization].title.lower().replace("'", "").split()
    return f"{'_'.join(words)}_seed_{config.seed}.py"


@cache
def definitions() -> list[Definition]:
    """All that `ROOT` reaches, in the order of the script.

    RuntimeError where two of them have one name: in one file the later would hide the earlier.
    """
    known = {(part.module, part.name): part for name in MODULES for part in _parts(name)}
    reached, waiting = set(), [ROOT]
    while waiting:
        place = waiting.pop()
        if place in known and place not in reached:
            reached.add(place)
            waiting += known[place].uses
    found = sorted(
        (known[place] for place in reached), key=lambda one: (MODULES.index(one.module), one.line)
    )
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RuntimeError(f"Two definitions of a script are called {', '.join(twice)}.")
    return found


# ---- reading the modules -----------------------------------------------------------------------


def _parts(module: str) -> Iterator[Definition]:
    """The definitions of a module, each with what it uses."""
    text = inspect.getsource(import_module(module))
    tree = ast.parse(text)
    imported = _imported(tree)
    own = {name: (module, name) for node in tree.body for name in _defined(node)}
    for node in tree.body:
        for name in _defined(node):
            if name in SETTINGS:
                continue
            uses: set[tuple[str, str]] = set()
            imports: set[str] = set()
            for word in _names(node):
                place = own.get(word.id) or imported.get(word.id)
                if isinstance(place, str):
                    imports.add(place)
                elif place is not None and place[0] in MODULES:
                    uses.add(place)
            source = _source(text, node)
            yield Definition(module, name, node.lineno, source, frozenset(uses), frozenset(imports))


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        names = [name for target in node.targets for name in ast.walk(target)]
        return [name.id for name in names if isinstance(name, ast.Name)][:1]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _imported(tree: ast.Module) -> dict[str, str | tuple[str, str]]:
    """Local name -> (module, name) of this project, or the statement that imports it."""
    found: dict[str, str | tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if isinstance(node, ast.Import):
                    found[name.split(".")[0]] = ast.unparse(ast.Import([alias]))
                elif node.module in MODULES:
                    found[name] = (node.module, alias.name)
                elif node.module and not node.module.startswith(("normlib", "pages")):
                    found[name] = ast.unparse(ast.ImportFrom(node.module, [alias], 0))
    return found


def _names(node: ast.AST) -> Iterator[ast.Name]:
    """The names that running this needs; those in annotations are words for a reader only."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name):
                yield child
            elif isinstance(child, ast.AST):
                yield from _names(child)


def _source(text: str, node: ast.stmt) -> str:
    """A definition as it is written, with its decorators and the comment above it."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)]) - 1
    lines = text.splitlines()
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])


def _import_order(line: str) -> tuple[bool, bool, str]:
    return ("numpy" in line or "tensorflow" in line, line.startswith("from"), line)


# ---- the first lines ---------------------------------------------------------------------------


def _head(config: TrainConfig, data: Dataset, run: Run | None) -> str:
    name = file_name(config)
    if data.name == "MNIST":
        usage = [
            f"    python {name}               takes MNIST from Keras (a download)",
            f"    python {name} mnist.npz     takes it from a file in Keras's layout",
            f"    python {name} --steps 100   stops after so many steps",
        ]
    else:
        usage = [
            f"    python {name} data.npz     the {data.name}, as the lab saves them",
            "    ... data.npz --steps 100     stops after so many steps",
        ]
    made_with = (run.versions if run else {}).get("tensorflow", "")
    same = (
        "The code is the lab's own, and so are the losses: to the last bit with "
        f"{f'TensorFlow {made_with}' if made_with else 'the same TensorFlow'} on the same kind of "
        "machine, to a few digits elsewhere."
    )
    paragraphs = [same, *([_result(run)] if run is not None else [])]
    told = "\n\n".join(textwrap.fill(text, 96) for text in paragraphs)
    title = METHODS[config.normalization].title
    net = f"a network of {config.depth} dense layers" if config.depth else "a small CNN"
    usage_lines = "\n".join(usage)
    return f'"""{title} in {net}, in plain TensorFlow.\n\n{usage_lines}\n\n{told}\n"""'


def _result(run: Run) -> str:
    ended = run.message.rstrip(".") or "finished"
    text = f"The lab's run: {ended[0].lower()}{ended[1:]}"
    if run.test_accuracy is not None:
        text += f", test accuracy {run.test_accuracy:.2%}"
    if run.losses:
        text += f", loss of its last step {run.losses[-1]:.9g}"
    return f"{text}."

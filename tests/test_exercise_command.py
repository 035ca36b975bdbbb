"""`python -m normlib check`: the same checks for a file of one's own, and the package alone."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from solutions import solution

import normlib
from normlib.__main__ import main
from normlib.exercises import command
from normlib.exercises.command import _test, run_apart
from normlib.exercises.files import part_of

ROOT = Path(normlib.__file__).parents[1]
SUBMISSION = f"""import tensorflow as tf

print("normlib is checked")
{solution("x_hat", "keepdims")}

def batch_norm(x, gamma, beta, epsilon):
    while True:
        pass

def layer_norm(x, gamma, beta, epsilon):
    raise SystemExit("Goodbye")

def mean_and_variance(x):
    m = tf.reduce_mean(x, 0)
    return m, tf.reduce_sum((x - m) ** 2, 0) / (len(x) - 1)

def batch_norm_conv(x, gamma, beta, epsilon):
    from tensorflow import nn as n
    return n.batch_normalization(x, *n.moments(x, (0, 1, 2)), beta, gamma, epsilon)
"""


def test_what_hangs_or_ends_the_process_costs_one_exercise():
    names = ["batch_norm", "layer_norm", "mean_and_variance", "batch_norm_conv", "x_hat", "g"]
    loop, end, unbiased, library, right, missing = run_apart(SUBMISSION, names, seconds=8)
    assert loop["output"] == "It took more than 8 seconds." and loop["status"] == "failed"
    assert end["output"] == "Goodbye"
    difference = "For x = [[4, 5], [7, 5]]: variance is [4.5, 0]; it should be [2.25, 0]."
    assert f"✗ Values in float64. {difference}" in unbiased["output"]
    assert "unbiased variance: Your variance divides by n - 1" in unbiased["output"]
    assert "✗ Only basic ops. It uses batch_normalization, moments." in library["output"]
    assert right == {
        "name": "x_hat", "score": 1, "max_score": 1, "status": "passed", "output": ""
    }  # fmt: skip
    assert missing["output"].strip() == "There is no function g in the file."


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        (None, [], "No such file or directory"),
        ("def f(:\n", [], "mine.py, line 1: invalid syntax."),
        (b"\xff\xfe", [], "mine.py is not a text."),
        ("", ["--json", "no/folder/results.json"], "There is no folder no/folder"),
        ("", ["--json", "."], "cannot be written: Is a directory."),
        ("", ["--starter", "mine.py"], "mine.py exists already: it is left as it is."),
        ("", ["--exercise", "none"], "invalid choice: 'none'"),
    ],
)
def test_bad_input_ends_in_a_sentence(content, arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("mine.py").write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        code = main(["check", "mine.py", *arguments])
    except SystemExit as argparse_ends:
        code = argparse_ends.code
    assert code == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_the_wheel_has_normlib_alone_and_checks_elsewhere(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(ROOT / "normlib", source / "normlib")
    shutil.copy(ROOT / "pyproject.toml", source)
    shutil.copytree(ROOT / "pages", source / "pages", ignore=shutil.ignore_patterns("recordings"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    offline = ["--no-deps", "--no-index"]
    wheel = [*pip, "wheel", *offline, "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True)
    (built,) = tmp_path.glob("*.whl")
    assert built.name == f"normlib-{normlib.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(built).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"normlib"}
    metadata = zipfile.ZipFile(built).read(next(n for n in names if n.endswith("METADATA")))
    assert b"Requires-Dist: tensorflow" in metadata and b"Requires-Dist: numpy" in metadata
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(built)], check=True)

    (tmp_path / "mine.py").write_text(SUBMISSION)
    done = subprocess.run(
        [*(sys.executable, "-m", "normlib", "check"), "mine.py", "--exercise", "x_hat"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        text=True,
    )
    assert done.returncode == 0 and done.stdout == "✓ x_hat\n1 of 1 pass.\n"


def test_the_assignment_comes_back_from_a_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--starter", "mine.ipynb"]) == 0
    notebook = json.loads(Path("mine.ipynb").read_text())
    assert sum("def x_hat(" in "".join(cell["source"]) for cell in notebook["cells"]) == 1
    text = solution("x_hat", "keepdims")
    notebook["cells"].append({"cell_type": "code", "source": ["%time\n", text]})
    Path("mine.ipynb").write_text(json.dumps(notebook))
    asked = []

    def checked_at_once(text, names):
        asked.append(part_of(text, "x_hat"))
        return iter([_test("x_hat", ""), _test("batch_norm", "It returns nothing yet.")])

    monkeypatch.setattr(command, "run_apart", checked_at_once)
    assert main(["check", "mine.ipynb", "--json", "results.json"]) == 1
    assert asked[0].split()[4:] == text.split()  # after the import
    told = capsys.readouterr().out
    assert told.endswith("✓ x_hat\n✗ batch_norm\nIt returns nothing yet.\n1 of 2 pass.\n")
    tests = json.loads(Path("results.json").read_text())["tests"]
    assert [test["status"] for test in tests] == ["passed", "failed"]

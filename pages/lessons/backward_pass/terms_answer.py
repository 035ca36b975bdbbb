"""The answer of the lesson on the three terms of a gradient."""

from __future__ import annotations

import numpy as np

from pages.lab import backward, words
from pages.lab.backward import BackwardSteps


def table(steps: BackwardSteps, cell: tuple[int, int]) -> list[dict[str, str]]:
    """What the words name and the picture does not show."""
    told = {
        "Sum of the highlighted dx": (steps.total(steps.dx, cell), 2),
        "Of dx · x̂": (steps.total(steps.dx * steps.forward.x_hat, cell), 2),
        "Right dx here": (float(steps.right.dx[cell]), 3),
        "ε / (variance + ε)": (backward.stretch_left(steps.forward, cell), 3),
    }
    return [{name: words.rounded(*value) for name, value in told.items()}]


def answer(steps: BackwardSteps, cell: tuple[int, int], kind: str, constants: bool) -> str:
    forward, dx = steps.forward, words.rounded(steps.dx[cell], 3)
    shared, count = forward.shares(cell), int(forward.shares(cell).sum())
    if not steps.direct[shared].any():
        return f"γ dz is 0 in the {words.count(count, 'highlighted cell')}, and so is dx."
    if constants:
        return (
            "With the statistics treated as constants only the direct term is left: dx is "
            f"{dx} where {words.rounded(steps.right.dx[cell], 3)} is right. "
            "The z on screen would be the same, and no error message says so."
        )
    terms = {name: words.rounded(value, 3) for name, value in steps.terms(cell).items()}
    mean = f"the mean contributes {terms['via the mean']} and " if len(terms) > 2 else ""
    text = (
        f"The direct term is {terms['direct']}; {mean}the denominator "
        f"{'' if mean else 'contributes '}{terms['via the denominator']}: dx is {dx}. "
    )
    if count == 1:
        return f"{text}A number averaged with nothing but itself has z = β, whatever x is."
    if kind == "along":
        square = "mean square" if forward.method == "rms" else "σ²"
        left = words.rounded(backward.stretch_left(forward, cell), 3)
        return text + (
            f"No change of x can stretch all {count} z together, but for ε: what is left of the "
            f"direct term is ε / ({square} + ε) = {left} of it."
        )
    if not steps.dx[shared].any():
        wish = "can shift all" if kind == "equal" else "has this effect on the"
        return f"{text}No change of x {wish} {count} z{' together' * (kind == 'equal')}."
    if kind == "one":
        places = {"cell": ", that one", "column": ", all in its column", "row": ", all in its row"}
        found = words.count(int(np.count_nonzero(steps.dx)), "cell") + places.get(steps.reached, "")
        return f"{text}dz is 1 in one cell; dx is not 0 in {found}."
    if forward.method == "rms":
        text += "RMS norm subtracts no mean and has no term for it; multiplied by x̂ the dx add up "
    else:
        total = words.rounded(steps.total(steps.dx, cell), 2)
        text += f"The {count} highlighted dx add up to {total}; multiplied by x̂ they add up "
    along = steps.total(steps.dx * forward.x_hat, cell)
    small = 0 < abs(along) < 1e-4 * np.abs(steps.direct[shared]).max()
    return f"{text}to {words.rounded(along, 2)}{', which is 0 but for ε' if small else ''}."

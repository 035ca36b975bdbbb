"""One control as a row of a table: its limits, and its value as a link and a sentence write it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pages.lab.words import number

ON, OFF = ("on", "1", "true", "yes"), ("off", "0", "false", "no")


@dataclass(frozen=True)
class Control:
    """One control.

    name: its URL parameter and its widget's key.
    config_field: its name in `TrainConfig`, if any; a link may use it too.
    kind: "int", "float", "choice", "many" (several choices), "flag" or "text".
    low, high: the limits of a number; steps: the marks of a log slider.
    choices: value -> what the reader sees.
    """

    name: str
    label: str
    kind: str
    default: Any
    help: str = ""
    config_field: str = ""
    low: float = 0
    high: float = 0
    steps: tuple[float, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    widget: str = ""

    def parse(self, text: str) -> Any:
        """The value that a link means, or a `ValueError` that says what is possible."""
        return self.check(_PARSERS[self.kind](self, text.strip()[:200]))

    def check(self, value: Any) -> Any:
        """The value itself, or a `ValueError` that says what is possible."""
        if self.kind in ("int", "float") and not self.low <= value <= self.high:
            raise ValueError(self.possible())
        return value

    def format(self, value: Any) -> str:
        """The value as a link writes it; `parse` reads it back."""
        if self.kind == "many":
            return ",".join(map(_code, value))
        if self.kind == "choice":
            return _code(value)
        if self.kind == "flag":
            return "on" if value else "off"
        return number(value) if self.kind == "float" else str(value)

    def words(self, value: Any) -> str:
        """The value as a sentence writes it."""
        if self.kind == "many":
            return ", ".join(self.choices[one] for one in value)
        if self.kind == "choice":
            return self.choices[value]
        return f"{value:,}" if self.kind == "int" else self.format(value)

    def possible(self) -> str:
        """What this control takes, as the end of a sentence."""
        if self.kind == "int":
            return f"it takes whole numbers from {self.low:,} to {self.high:,}"
        if self.kind == "float":
            return f"it takes numbers from {number(self.low)} to {number(self.high)}"
        if self.kind == "flag":
            return "it takes on or off"
        return f"it takes {', '.join(map(_code, self.choices))}"


def _code(choice: str) -> str:
    return choice.lower().replace(" ", "-")


def _plain(text: str) -> str:
    return re.sub(r"[\s_+]+", "-", text.strip().lower())


def _parse_int(row: Control, text: str) -> int:
    # In a whole number a comma, point, space or quote before three digits only groups them.
    if re.fullmatch(r"[1-9]\d{0,2}([,. '_ ]\d{3})+", text):
        text = re.sub(r"\D", "", text)
    value = _parse_float(row, text)
    if value != int(value):
        raise ValueError(row.possible())
    return int(value)


def _parse_float(row: Control, text: str) -> float:
    try:
        value = float(text.replace(",", ".").replace("−", "-"))  # 0,001 is 0.001 to half the world
    except ValueError:
        raise ValueError(row.possible()) from None
    if not math.isfinite(value):
        raise ValueError(row.possible())
    return value


def _parse_choice(row: Control, text: str) -> str:
    for choice, title in row.choices.items():
        if _plain(text) in (_plain(choice), _plain(title)):
            return choice
    raise ValueError(row.possible())


def _parse_many(row: Control, text: str) -> tuple[str, ...]:
    chosen = {_parse_choice(row, part) for part in re.split(r"[,;|]", text) if part.strip()}
    return tuple(choice for choice in row.choices if choice in chosen)


def _parse_flag(row: Control, text: str) -> bool:
    if text.lower() not in (*ON, *OFF):
        raise ValueError(row.possible())
    return text.lower() in ON


_PARSERS: dict[str, Callable[[Control, str], Any]] = {
    "int": _parse_int,
    "float": _parse_float,
    "choice": _parse_choice,
    "many": _parse_many,
    "flag": _parse_flag,
    "text": lambda row, text: text,
}

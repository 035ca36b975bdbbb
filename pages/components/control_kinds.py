"""One control as a row of a table: its limits, and its value as a link and a sentence write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pages.lab.words import minus, number

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
        try:
            return self.check(self._read(text.strip()[:200]))
        except ValueError:
            raise ValueError(self.possible()) from None

    def check(self, value: Any) -> Any:
        """The value itself, or a `ValueError` that says what is possible."""
        if self.kind in ("int", "float") and not self.low <= value <= self.high:
            raise ValueError(self.possible())
        return value

    def _read(self, text: str) -> Any:
        if self.kind == "text":
            return text
        if self.kind == "flag":
            return (*OFF, *ON).index(text.lower()) >= len(OFF)
        if self.kind == "choice":
            return self._choice(text)
        if self.kind == "many":
            chosen = [self._choice(part) for part in re.split(r"[,;|]", text) if part.strip()]
            return tuple(choice for choice in self.choices if choice in chosen)
        # In a whole number a comma, point, space or quote before three digits only groups them.
        if self.kind == "int" and re.fullmatch(r"[1-9]\d{0,2}([,. '_ ]\d{3})+", text):
            text = re.sub(r"\D", "", text)
        value = float(text.replace(",", ".").replace("−", "-"))  # 0,001 is 0.001 to half the world
        if self.kind == "float":
            return value
        return int(value) if value % 1 == 0 else float("nan")

    def _choice(self, text: str) -> str:
        """The first choice that is written so, or shown so."""
        for value, title in self.choices.items():
            if _plain(text) in (_plain(value), _plain(title)):
                return value
        raise ValueError(self.possible())

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
        return f"{value:,}" if self.kind == "int" else minus(self.format(value))

    def possible(self) -> str:
        """What this control takes, as the end of a sentence."""
        if self.kind == "int":
            return f"it takes whole numbers from {self.low:,} to {self.high:,}"
        if self.kind == "float":
            return minus(f"it takes numbers from {number(self.low)} to {number(self.high)}")
        codes = ", ".join(map(_code, self.choices))
        return f"it takes {'on or off' if self.kind == 'flag' else codes}"


def _code(choice: str) -> str:
    return choice.lower().replace(" ", "-")


def _plain(text: str) -> str:
    return re.sub(r"[\s_+]+", "-", text.strip().lower())

"""hammr's progress bar, on a terminal only; elsewhere one plain line when it is over."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from cli.render import short, showable

WIDTH = 100
MESSAGE = 44


def bar(percent: int, message: str, width: int = WIDTH) -> str:
    """`|>>>>      | 42%: message |      <<<<|`, `width` wide."""
    words = short(message, MESSAGE)
    middle = f" {percent:3d}%: {words} "
    room = max(12, width - len(middle) - 4)
    left, right = room - room // 2, room // 2
    full, back = round(left * percent / 100), round(right * percent / 100)
    return f"|{'>' * full}{' ' * (left - full)}|{middle}|{' ' * (right - back)}{'<' * back}|"


class Bar:
    """One bar on one stream."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._live = self._out.isatty()
        self._drawn = False

    def draw(self, percent: int, message: str) -> None:
        """Where it is now."""
        if self._live:
            self._put("\r", percent, message, "")
            self._drawn = True

    def finish(self, percent: int, message: str) -> None:
        """Where it ended."""
        if self._live:
            self._put("\r" if self._drawn else "", percent, message, "\n")
        else:
            self._out.write(f"{percent}%: {showable(short(message))}\n")
            self._out.flush()

    def leave(self) -> None:
        """Go to a new line when one is half drawn."""
        if self._drawn:
            self._out.write("\n")

    def _put(self, before: str, percent: int, message: str, after: str) -> None:
        width = min(WIDTH, shutil.get_terminal_size().columns - 1)
        self._out.write(before + bar(percent, showable(short(message)), width) + after)
        self._out.flush()

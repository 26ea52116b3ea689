"""What lists tell of rows, kept while the rows are what they were: of a thousand, few change between two looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from emulator.wire.shared import Shared

MOST = 5000
AT_ONCE = 500
"""SQLite takes a limited number of values in one statement."""
Tell = Callable[[Sequence[int]], Iterable[tuple[int, dict[str, Any]]]]


class Remembered:
    """For the rows of one table, by their number."""

    def __init__(self, most: int = MOST) -> None:
        self._known: dict[int, tuple[Any, Shared]] = {}
        self._most = most

    def told(self, whose: str, heads: Sequence[Any], tell: Tell) -> list[Shared]:
        """Each row's telling, in the order of `heads`. A head is the row's number, then all that decides what is told of it but for whose list
        it is. `tell` is asked for those that changed, by number."""
        found = {head[0]: known[1] for head in heads if (known := self._known.get(head[0])) is not None and known[0] == (whose, head)}
        wanted = {head[0]: head for head in heads if head[0] not in found}
        numbers = list(wanted)
        if len(self._known) + len(numbers) > self._most:
            self._known.clear()
        for start in range(0, len(numbers), AT_ONCE):
            for number, told in tell(numbers[start : start + AT_ONCE]):
                found[number] = Shared(told)
                self._known[number] = ((whose, wanted[number]), found[number])
        return [found[head[0]] for head in heads]

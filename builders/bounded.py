"""What a YAML document may hold: once its aliases are followed, some lines can stand for more than any memory holds, and escapes for no text."""

from __future__ import annotations

import re
from typing import Any

import yaml

NODES = 200_000
"""Of a whole document, each alias counted as what it stands for; a template of 30,000 files has fewer."""
DEPTH = 100
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


class TooDeep(yaml.YAMLError):
    """The document has more than `DEPTH` levels."""

    def __str__(self) -> str:
        return f"there are more than {DEPTH} levels"


class Loader(yaml.SafeLoader):
    """Gives up at `DEPTH` levels, with `TooDeep`: a recursion that fills Python's stack may end the whole process, not just with `RecursionError`."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth >= DEPTH:
            raise TooDeep
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def excess(top: yaml.Node) -> str:
    """What is wrong with the size of the document; empty when nothing is."""
    known: dict[int, tuple[int, int]] = {}
    size, depth = _measured(top, known, set())
    if depth > DEPTH:
        return f"an alias stands for what it is in, or there are more than {DEPTH} levels"
    return f"its aliases stand for more than {NODES} values" if size > NODES else ""


def _measured(node: yaml.Node, known: dict[int, tuple[int, int]], around: set[int]) -> tuple[int, int]:
    """Values and levels; each node is looked at once, and one within itself has levels without end."""
    if isinstance(node, yaml.ScalarNode):
        return 1, 1
    if id(node) in around or len(around) > DEPTH:
        return 1, DEPTH + 1
    if id(node) not in known:
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        found = [_measured(child, known, around | {id(node)}) for child in children]
        known[id(node)] = 1 + sum(size for size, _ in found), 1 + max((depth for _, depth in found), default=0)
    return known[id(node)]


def unwritable(top: yaml.Node) -> list[int]:
    """The lines of all texts, keys included, with a NUL or a lone surrogate in them, which escapes can write (`"\\0"`, `"\\ud800"`)."""
    lines, seen, waiting = set(), set(), [top]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.ScalarNode):
            waiting += [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        elif _UNWRITABLE.search(node.value):
            lines.add(node.start_mark.line + 1)
    return sorted(lines)

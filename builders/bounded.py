"""How large a YAML document may be once its aliases are followed: some lines can stand for more than any memory holds."""

from __future__ import annotations

import yaml

NODES = 200_000
"""Of a whole document, each alias counted as what it stands for; a template of 30,000 files has fewer."""
DEPTH = 100


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

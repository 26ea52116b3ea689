"""Reading one mapping of a template file key by key: what it says, and every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import yaml

from builders import titles
from builders.spec import Reader, plain, shown


@dataclass(slots=True)
class Section:
    """The mapping at `key`. `finish` reports the keys that nobody asked for."""

    reader: Reader
    node: yaml.Node
    key: str
    values: dict[str, yaml.Node] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, reader: Reader, node: yaml.Node, key: str) -> Section:
        return cls(reader, node, key, reader.mapping(node, key))

    def name_of(self, key: str) -> str:
        """The whole name of a key in here: `stack.os.name`."""
        return f"{self.key}.{key}".lstrip(".")

    def problem(self, key: str, text: str) -> None:
        """A mistake at a key of this section (or at the section itself when the key is not there)."""
        self.reader.problem(self.values.get(key, self.node), self.name_of(key), text)

    def get(self, key: str) -> yaml.Node | None:
        """The node at `key`; None when it is absent or null."""
        self.asked.add(key)
        node = self.values.get(key)
        return None if node is None or plain(node) is None else node

    def text(self, key: str, *, required: bool = False, pattern: str = "", what: str = "") -> str:
        """A text (a number or date is taken as it is written); empty when absent. `pattern` must match the whole of it, `what` says so."""
        node = self.get(key)
        if node is None or (required and not getattr(node, "value", "")):
            if required:
                self.problem(key, "is missing")
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self.problem(key, f"must be a text, not a {shown(plain(node))}")
            return ""
        if pattern and not re.fullmatch(pattern, node.value):
            self.problem(key, f"'{node.value}' is not {what}")
        return str(node.value)

    def title(self, key: str, what: str, without: str = "/") -> str:
        """A name or version that must be there (see `builders/titles.py`), with none of the characters `without`; `what` says so."""
        said = self.text(key, required=True)
        if said and not titles.is_title(said, without):
            self.problem(key, f"{titles.shown(said)} is not {what}")
        return said

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A truth value; hammr's users also write it as a text."""
        node = self.get(key)
        if node is None:
            return default
        value = plain(node)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            self.problem(key, f"must be true or false, not {shown(value)}")
            return default
        return value

    def number(self, key: str, low: int, high: int, *, required: bool = False) -> int | None:
        """A whole number within limits; None when absent or wrong."""
        node = self.get(key)
        if node is None:
            if required:
                self.problem(key, f"is missing (a whole number from {low} to {high})")
            return None
        value = plain(node)
        if isinstance(value, str) and re.fullmatch(r"[0-9]+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(key, f"must be a whole number from {low} to {high}, not {shown(value)}")
            return None
        return value

    def choice(self, key: str, options: Sequence[str], default: str = "", *, required: bool = False) -> str:
        """One of `options`, whatever its case."""
        said = self.text(key, required=required)
        if not said:
            return default
        for option in options:
            if option.lower() == said.lower():
                return option
        self.problem(key, f"unknown: '{said}' (known: {', '.join(options)})")
        return default

    def section(self, key: str) -> Section | None:
        """The mapping at `key`; None when absent."""
        node = self.get(key)
        return None if node is None else Section.of(self.reader, node, self.name_of(key))

    def sections(self, key: str) -> list[Section]:
        """The mappings of the list at `key`."""
        return [Section.of(self.reader, node, f"{self.name_of(key)}[{number}]") for number, node in enumerate(self.nodes(key))]

    def nodes(self, key: str) -> list[yaml.Node]:
        """The items of the list at `key`."""
        node = self.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.problem(key, "must be a list")
            return []
        return list(node.value)

    def refuse(self, key: str, reason: str) -> None:
        """What cannot be built: a mistake when it is asked for (anything but null, false, an empty list)."""
        node = self.get(key)
        if node is not None and plain(node) not in (False, [], {}, ""):
            self.problem(key, reason)

    def finish(self) -> None:
        """Report unknown keys."""
        for key in self.values.keys() - self.asked:
            self.problem(key, f"unknown key (known: {', '.join(sorted(self.asked))})")

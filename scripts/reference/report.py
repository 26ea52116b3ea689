"""The scan report: its JSON Schema, and the same as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

import scanner.report
from reference.text import attribute_words, code, first, heading, shape, table
from scanner.report import SCHEMA, FileEntry, ScanReport


def schema() -> dict[str, Any]:
    """The JSON Schema of `head.json`; `FileEntry`, a line of `files.ndjson`, is among its definitions."""
    made = ScanReport.model_json_schema()
    made["$defs"] = {**made.get("$defs", {}), "FileEntry": TypeAdapter(FileEntry).json_schema()}
    return made


def schema_text() -> str:
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


def parts() -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Each class of the report with its part of the schema, the report itself first."""
    made = schema()
    for name, part in [("ScanReport", made), *sorted(made["$defs"].items())]:
        cls = getattr(scanner.report, name, None) or defined(name)
        assert cls is not None, name
        yield name, cls, part


def defined(name: str, under: type = BaseModel) -> type | None:
    """A class of the report that is defined in another module of the room."""
    for one in under.__subclasses__():
        if one.__name__ == name and one.__module__.startswith("scanner."):
            return one
        if found := defined(name, one):
            return found
    return None


def page() -> str:
    lines = heading(
        "Scan report",
        f"Version {SCHEMA} of the report: `head.json` is a `ScanReport`, each line of `files.ndjson.zst` a `FileEntry`. "
        "As [JSON Schema](scan-report.schema.json). `forgelet scan show ID -o json` tells the head.",
    )
    for name, cls, part in parts():
        words = attribute_words(cls) if "properties" in part else {}
        lines += [f"## {name}", "", first(cls.__doc__), ""]
        if "enum" in part:
            lines += [", ".join(code(one) for one in part["enum"]), ""]
        rows = [(code(key), shape(value), words.get(key, "")) for key, value in part.get("properties", {}).items()]
        lines += table(("key", "type", "what it is"), rows) if rows else []
    return "\n".join(lines)


def undocumented() -> Iterator[str]:
    for name, cls, part in parts():
        if not cls.__dict__.get("__doc__"):
            yield f"{name} has no docstring"
        words = attribute_words(cls) if "properties" in part else {}
        yield from (f"{name}.{key} has no docstring" for key in part.get("properties", {}) if not words.get(key))

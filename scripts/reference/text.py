"""Pieces that the pages share: Markdown tables, and the docstrings under attributes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

NOTE = "*Generated from the code.*"


def heading(title: str, *words: str) -> list[str]:
    """The begin of a page."""
    return [f"# {title}", "", NOTE, "", *(part for word in words for part in (word, ""))]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; bars and line breaks in cells are kept from breaking it."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell(one) for one in line) + " |" for line in lines] + [""]


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    return f"`{text}`"


def first(text: str | None) -> str:
    """The first paragraph of a docstring, on one line; its ``` `marks` ``` stay."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def shape(value: dict[str, Any], *, linked: bool = True) -> str:
    """The type of a property of a JSON Schema, in a few words; `linked`: that of another section of the page as a link."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if linked else str(name)
    if "anyOf" in value:
        return " or ".join(shape(one, linked=linked) for one in value["anyOf"])
    if value.get("type") == "array":
        return "list of " + shape(value.get("items", {}), linked=linked)
    return str(value.get("type", "anything"))


def model_table(model: type[BaseModel]) -> list[str]:
    """The keys of a class that is read from JSON or YAML."""
    schema, words = model.model_json_schema(), attribute_words(model)
    rows = []
    for name, one in model.model_fields.items():
        key = one.alias or name
        given = "*required*" if one.is_required() else str(one.get_default(call_default_factory=True) or "")
        rows.append((code(key), shape(schema["properties"][key], linked=False).removesuffix(" or null"), given, words.get(name, "")))
    return table(("key", "type", "unless given", "what it is"), rows)


def attribute_words(cls: type) -> dict[str, str]:
    """The docstring under each annotated attribute of a class, empty where there is none, in the order of the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            told = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            found[one.target.id] = str(told)
    return found

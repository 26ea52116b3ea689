"""Bodies of requests as plain data: UForge's XML, or JSON of the same shape; leniently, safely, and with every mistake named.

Children may come in any order and any namespace. `xsi:type` is looked at only where the declared type has derived ones, and only when it
names one of them (the real client writes some that are no types: PROTOCOL 1.9). No DTD, no entities; size and depth are bounded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emulator.errors import TooLarge
from emulator.wire.extras import TAKEN
from emulator.wire.schema import Complex, Element, schema
from emulator.wire.values import read
from scanner.errors import UserError

if TYPE_CHECKING:
    from lxml.etree import _Element

LARGEST = 1 << 20
"""Bytes that a body may have (archives are not read here)."""
DEEPEST = 40
"""Levels of elements; UForge's own requests have 9."""
PROBLEMS = 20
"""Mistakes that are named; more would not help."""
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def decode(raw: bytes, root: str) -> dict[str, Any]:
    """The contents of the element `root`. Where a concrete type was named, `xsiType` has it. Raises `UserError`, `TooLarge`."""
    if len(raw) > LARGEST:
        raise TooLarge(f"the body has more than {LARGEST} bytes")
    body = raw.strip()
    if not body:
        raise UserError("the request has no body", hint=f"send the element {root}, as XML or as JSON")
    reader = _Reader()
    data = reader.json(_loads(body), root) if body[:1] in b"{[" else reader.xml(_parse(body), root)
    if reader.problems:
        raise UserError(f"the {root} is wrong", problems=reader.problems)
    return data


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the body is no JSON: {error}") from error


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _parse(body: bytes) -> _Element:
    from lxml import etree

    # Entities are neither expanded nor fetched; a document that declares any is refused whole, below and before.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True)
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise UserError("the body has a document type declaration, which is not accepted")
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UserError(f"the body is no well-formed XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise UserError("the body has a document type declaration, which is not accepted")
    return root


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self._schema = schema()

    def xml(self, element: _Element, root: str) -> dict[str, Any]:
        name = _local(element.tag)
        if name != root:
            self._wrong(name, f"the root must be {root}")
            return {}
        return self._element(element, self._schema.type(self._schema.roots[root]), root, 1)

    def json(self, value: Any, root: str) -> dict[str, Any]:
        if isinstance(value, dict) and set(value) == {root} and root not in self._schema.type(self._schema.roots[root]).elements:
            value = value[root]
        found = self._object(value, self._schema.type(self._schema.roots[root]), root, 1)
        return found if isinstance(found, dict) else {}

    def _element(self, element: _Element, declared: Complex, where: str, depth: int) -> dict[str, Any]:
        kind, data = self._kind(element.get(_TYPE, "").rpartition(":")[2].strip(), declared)
        if depth > DEEPEST:
            self._wrong(where, f"deeper than {DEEPEST} elements")
            return data
        if (element.text or "").strip():
            self._wrong(where, f"text where {kind.name} has elements")
        for child in element:
            name = _local(child.tag)
            found = self._find(name, kind)
            if found is None:
                self._wrong(f"{where}.{name}", f"{kind.name} has no such element")
            elif found.simple is not None:
                text = child.text or ""
                if len(child):
                    self._wrong(f"{where}.{name}", "elements where a value is expected")
                elif child.get(_NIL, "").strip() not in ("true", "1"):
                    self._put(data, found, self._value(text, found, f"{where}.{name}"), where)
            else:
                self._put(data, found, self._element(child, self._schema.type(found.type), f"{where}.{name}", depth + 1), where)
        return data

    def _object(self, value: Any, declared: Complex, where: str, depth: int) -> Any:
        if not isinstance(value, dict) or depth > DEEPEST:
            self._wrong(where, f"deeper than {DEEPEST} objects" if depth > DEEPEST else f"an object is expected ({declared.name})")
            return {}
        named = value.get("xsiType", "")
        kind, data = self._kind(named if isinstance(named, str) else "", declared)
        for name, given in value.items():
            found = self._find(name, kind)
            if name == "xsiType" or given is None:
                continue
            if found is None and name in TAKEN.get(kind.name, ()) and isinstance(given, str):
                data[name] = given
                continue
            if found is None:
                self._wrong(f"{where}.{name}", f"{kind.name} has no such element")
                continue
            for one in given if isinstance(given, list) else [given]:
                place = f"{where}.{name}"
                told = self._value(one, found, place) if found.simple else self._object(one, self._schema.type(found.type), place, depth + 1)
                self._put(data, found, told, where)
            if given == [] and found.many:
                data[name] = []
        return data

    def _kind(self, named: str, declared: Complex) -> tuple[Complex, dict[str, Any]]:
        if named in declared.derived:
            return self._schema.type(named), {"xsiType": named}
        return declared, {}

    def _find(self, name: str, kind: Complex) -> Element | None:
        found = kind.elements.get(name)
        if found is None:
            # The type was not named, or not rightly: an element of any derived type tells as much.
            of = (self._schema.type(one).elements.get(name) for one in sorted(kind.derived))
            found = next((one for one in of if one is not None), None)
        return found

    def _value(self, value: Any, element: Element, where: str) -> Any:
        assert element.simple is not None
        try:
            return read(value, element.simple)
        except ValueError as error:
            self._wrong(where, str(error))
            return None

    def _put(self, data: dict[str, Any], element: Element, value: Any, where: str) -> None:
        if value is None:
            return
        if element.many:
            data.setdefault(element.name, []).append(value)
        elif element.name in data:
            self._wrong(f"{where}.{element.name}", "it can be there only once")
        else:
            data[element.name] = value

    def _wrong(self, where: str, what: str) -> None:
        if len(self.problems) < PROBLEMS:
            self.problems.append(f"{where[:200]}: {what[:300]}")


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else "an entity reference"

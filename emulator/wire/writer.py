"""Plain data as UForge's XML, strictly: qualified root, unqualified children in the order of the schema, no more of them than declared.

The text is put together by the declared types; building a tree first would take three times as long. What is not declared is never
written: it raises `Undeclared`, which is a mistake of ours and so an internal fault.
"""

from __future__ import annotations

from typing import Any

from emulator.wire.extras import EXTRAS, OURS
from emulator.wire.schema import Complex, Element, schema
from emulator.wire.shared import Shared
from emulator.wire.values import written

MEDIA = "application/xml"
"""Exactly so: with any parameter after it the real client does not parse the body (PROTOCOL 1.5)."""
XSI = "http://www.w3.org/2001/XMLSchema-instance"


class Undeclared(TypeError):
    """The data does not fit UForge's type; says where."""


def encode(root: str, data: dict[str, Any]) -> bytes:
    """The document whose root is `root`. Raises `Undeclared`."""
    kinds = schema()
    if root not in kinds.roots:
        raise Undeclared(f"UForge has no element {root}")
    out: list[str] = []
    opening = f'<ns1:{root} xmlns:ns1="{kinds.namespace}" xmlns:xsi="{XSI}"'
    _Writer(out).complex(opening, f"ns1:{root}", data, kinds.type(kinds.roots[root]), root)
    return ("<?xml version='1.0' encoding='UTF-8'?>\n" + "".join(out)).encode()


class _Writer:
    def __init__(self, out: list[str]) -> None:
        self._out = out
        self._put = out.append
        self._schema = schema()

    def complex(self, opening: str, tag: str, data: Any, declared: Complex, where: str) -> None:
        """One element with children; `opening` is its start tag but for the type and the bracket."""
        if not isinstance(data, dict):
            raise Undeclared(f"{where}: {data!r} is no {declared.name}")
        kind = self._concrete(data, declared, where)
        put, elements = self._put, kind.elements
        put(f'{opening} xsi:type="ns1:{kind.name}">' if kind is not declared else f"{opening}>")
        known = [key for key in data if key in elements]
        if len(known) != len(data):
            _refuse_unknown(data, kind, self._schema, where)
        for name in kind.needed:
            if data.get(name) is None:
                raise Undeclared(f"{where}: {kind.name} needs {name}")
        known.sort(key=lambda key: elements[key].place)
        for key in known:
            value = data[key]
            if value is not None:
                self._child(elements[key], value, where)
        put(f"</{tag}>")

    def _child(self, element: Element, value: Any, where: str) -> None:
        if type(value) is list:
            if not element.many:
                raise Undeclared(f"{where}.{element.name}: it can be there only once")
            for one in value:
                self._one(element, one, where)
        else:
            self._one(element, value, where)

    def _one(self, element: Element, value: Any, where: str) -> None:
        name = element.name
        if element.simple is None:
            if type(value) is Shared:
                self._put(self._once(element, value, where))
            else:
                self.complex(f"<{name}", name, value, self._schema.type(element.type), f"{where}.{name}")
            return
        try:
            self._put(f"<{name}>{written(value, element.simple)}</{name}>")
        except ValueError as error:
            raise Undeclared(f"{where}.{name}: {error}") from error

    def _once(self, element: Element, value: Shared, where: str) -> str:
        key = (element.name, element.type)
        if key not in value.written:
            begun = len(self._out)
            self.complex(f"<{element.name}", element.name, value, self._schema.type(element.type), f"{where}.{element.name}")
            value.written[key] = "".join(self._out[begun:])
            del self._out[begun:]
        return value.written[key]

    def _concrete(self, data: dict[str, Any], declared: Complex, where: str) -> Complex:
        named = data.get("xsiType", declared.name)
        if named == declared.name:
            if declared.abstract:
                raise Undeclared(f"{where}: {declared.name} is abstract: xsiType must name one of {', '.join(sorted(declared.derived))}")
            return declared
        if named not in declared.derived:
            raise Undeclared(f"{where}: xsiType {named} is not derived from {declared.name}")
        return self._schema.type(named)


def _refuse_unknown(data: dict[str, Any], kind: Complex, kinds: Any, where: str) -> None:
    allowed = OURS | EXTRAS.get(kind.name, frozenset())
    unknown = [key for key in data if key not in kind.elements and key not in allowed]
    if unknown:
        raise Undeclared(f"{where}: {kind.name} has no {', '.join(unknown)} (emulator/wire/extras.py declares what is ours)")

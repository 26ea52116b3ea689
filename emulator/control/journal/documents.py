"""Documents without their secrets: JSON, YAML and XML are read as data, and whatever lies under a secret's name is replaced, of any type.

Texts within a document may be documents themselves, as a builder file is that travels in JSON.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from emulator.wire.answer import dumps

if TYPE_CHECKING:
    import yaml
    from lxml.etree import _Element

GONE = "***"
DEEPEST = 100
"""Levels, of documents within documents too."""
_WORDS = ("password", "passwd", "passphrase", "secret", "token", "signature", "private", "identity", "userdata", "accesskey", "apikey", "publickey")
_SECRET = re.compile("|".join(_WORDS), re.IGNORECASE)
_RECODED = re.compile(r"\s*<\?xml[^>]*encoding=.(?!utf-8)", re.IGNORECASE)
_NAMES = frozenset({"content", "downloadUri"})
"""Secrets only by their whole name: a certificate's contents, a download that needs no login."""
_HARMLESS = frozenset({"secretsMissing", "passwordEnabled", "passwordAuto", "disablePasswordLogin", "apiKeysQuota", "baseApiKeysUri"})
"""Names of UForge's and ours that only sound so."""
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_CAPABILITY = re.compile(r"(/+downloads/+\d+/+)[^/\"<>\s?]+")


def secret(name: str) -> bool:
    """Whether what has this name is one."""
    return name in _NAMES or (name not in _HARMLESS and _SECRET.search(name) is not None)


def path(text: str) -> str:
    """The key of a download is as good as a login."""
    return _CAPABILITY.sub(rf"\1{GONE}", text)


def shape(text: str) -> bool:
    """Whether a text may have secrets that only reading it as data finds: it speaks of one, or has characters that are written in another way."""
    # What polls get is long and has no secrets: a look for the words costs a quarter of the pattern.
    said = text.lower()
    return any(word in said for word in _WORDS) or any(one in text for one in ("\\", "\0", *_NAMES)) or _RECODED.match(text) is not None


class _Unreadable(Exception):
    """It is no document of any of the kinds."""


class Cleaner:
    """Cleans one document; `gone` has the names under which there were secrets."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def document(self, text: str, depth: int = 0) -> str | None:
        """As it may be kept. None when it cannot be read."""
        begin = text.lstrip("\ufeff \t\r\n")[:1]
        for clean in {"<": (self._xml,), "{": (self._json, self._yaml), "[": (self._json, self._yaml)}.get(begin, (self._json, self._yaml) if begin else ()):
            try:
                return clean(text.lstrip("\ufeff"), depth)
            except (_Unreadable, RecursionError):
                continue
        return None if begin else text

    def _take(self, name: str) -> str:
        self.gone.add(name)
        return GONE

    def _text(self, text: str, depth: int) -> str:
        """One value: a text, which may be a document."""
        if not shape(text):
            return path(text)
        clean = self.document(text, depth) if depth < DEEPEST else None
        return self._take("text") if clean is None else clean

    def _json(self, text: str, depth: int) -> str:
        try:
            return dumps(self._data(json.loads(text), depth))
        except ValueError as error:
            raise _Unreadable from error

    def _data(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise _Unreadable
        if isinstance(value, dict):
            return {path(key): self._take(key) if secret(key) and one not in (None, "", [], {}) else self._data(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list):
            return [self._data(one, depth + 1) for one in value]
        return self._text(value, depth + 1) if isinstance(value, str) else value

    def _yaml(self, text: str, depth: int) -> str:
        import yaml

        from builders.bounded import Loader, excess

        try:
            found = list(yaml.compose_all(text, Loader=Loader))
            if any(excess(node) for node in found):
                raise _Unreadable
            if len(found) == 1 and isinstance(found[0], yaml.ScalarNode):
                # Prose; within its quotation marks there may be more.
                inner = str(found[0].value)
                return path(text) if inner == text.strip() else self._text(inner, depth + 1)
            seen: set[int] = set()
            for node in found:
                self._node(node, depth, seen)
            return yaml.serialize_all(found, Dumper=yaml.SafeDumper, allow_unicode=True, width=4096)
        except (yaml.YAMLError, ValueError) as error:
            raise _Unreadable from error

    def _node(self, node: yaml.Node, depth: int, seen: set[int]) -> None:
        """Cleaned in place: so it is clean wherever an alias names it, too."""
        import yaml

        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and secret(key.value) and value.value:
                    self._take(key.value)
                    _blank(value)
                else:
                    self._node(key, depth, seen)
                self._node(value, depth, seen)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._node(one, depth, seen)
        else:
            node.value = self._text(str(node.value), depth + 1)

    def _xml(self, text: str, depth: int) -> str:
        from lxml import etree

        # As `emulator.wire.reader` reads it. A comment may stand within a value, and may have one of its own.
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True)
        try:
            root = etree.fromstring(text.encode(), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise _Unreadable from error
        if root.getroottree().docinfo.doctype:
            raise _Unreadable
        for element in list(root.iter()):
            self._element(element, depth)
        return str(etree.tostring(root, encoding="unicode"))

    def _element(self, element: _Element, depth: int) -> None:
        from lxml.etree import QName

        name = QName(element).localname
        hidden = secret(name) and bool(element.text or len(element) or element.attrib)
        if hidden:
            del element[:]
            element.text = self._take(name)
        elif element.text:
            element.text = self._text(element.text, depth + 1)
        if element.tail:
            element.tail = self._text(element.tail, depth + 1)
        for key, value in element.attrib.items():
            own = QName(key)
            if own.namespace != _INSTANCE:
                element.set(key, GONE if hidden else self._take(own.localname) if secret(own.localname) else self._text(value, depth + 1))


def _blank(node: yaml.Node) -> None:
    import yaml

    left, seen = [node], set[int]()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, yaml.ScalarNode):
            one.tag, one.value, one.style = "tag:yaml.org,2002:str", GONE, None
        else:
            left += [part for pair in one.value for part in pair] if isinstance(one, yaml.MappingNode) else one.value

"""Builder files as they are sent: of an account that is written out only what names it. The service takes the account by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

GONE = '"***"'
NAMING = frozenset({"name", "type", "file", "cloud", "uri", "dbId"})
"""As `builders.spec.NAMING`: what the service keeps of an account."""


def sendable(text: str) -> str:
    """The file without what opens its accounts; every other line stays where it is. What is no YAML is sent as it is: the service names the mistake."""
    import yaml

    # JSON may be indented by tabs, YAML may not.
    source = re.sub(r"(?m)^[\t ]+", lambda found: found[0].replace("\t", " "), text) if text.lstrip()[:1] == "{" else text
    try:
        spans = sorted(set(_spans(yaml.compose(source, Loader=yaml.SafeLoader))), reverse=True)
        if not spans:
            return text
        wanted = without_secrets(yaml.safe_load(source))
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    clean = source
    for start, end in spans:
        value = source[start:end]
        held = value.rstrip()
        # As many lines as there were, so that mistakes are named in the lines that the user sees.
        clean = clean[:start] + GONE + "\n" * held.count("\n") + value[len(held) :] + clean[end:]
    try:
        whole = without_secrets(yaml.safe_load(clean)) == wanted
    except yaml.YAMLError:
        whole = False
    # What is named elsewhere by an alias cannot be cut out where it stands.
    return clean if whole else yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)


def without_secrets(document: Any) -> Any:
    """The data of a file without what opens its accounts."""
    builders = document.get("builders") if isinstance(document, dict) else None
    if not isinstance(builders, list):
        return document
    return {**document, "builders": [named(one) if isinstance(one, dict) else one for one in builders]}


def named(builder: dict[str, Any]) -> dict[str, Any]:
    """A builder, of its account only what names it."""
    account = builder.get("account")
    return {**builder, "account": {key: value for key, value in account.items() if key in NAMING}} if isinstance(account, dict) else builder


def _spans(node: yaml.Node | None) -> Iterator[tuple[int, int]]:
    """Where in the text the values stand that are not to be sent."""
    for builder in _children(_below(node, "builders")):
        for key, value in _pairs(_below(builder, "account")):
            if key not in NAMING:
                yield value.start_mark.index, value.end_mark.index


def _below(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _pairs(node) if key == name), None)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value) for key, value in node.value)


def _children(node: yaml.Node | None) -> list[yaml.Node]:
    import yaml

    return node.value if isinstance(node, yaml.SequenceNode) else []

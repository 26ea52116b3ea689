"""Every setting of the service and of its client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.settings import Settings
from reference.text import attribute_words, code, heading, table


def page() -> str:
    words = attribute_words(Settings)
    rows = [(code(f"FORGELET_{name.upper()}"), code(name), default(name), words.get(name, "")) for name in Settings.model_fields]
    head = heading(
        "Settings",
        "Set in the environment, or in a file: `FORGELET_CONFIG` names it (TOML or YAML), else it is `config.toml`, `config.yml` or `config.yaml` in "
        "`~/.config/forgelet`. The environment wins over the file, options of the command line win over both.",
    )
    return "\n".join([*head, *table(("environment", "in the file", "unless set", "what it sets"), rows)])


def default(name: str) -> str:
    field: Any = Settings.model_fields[name]
    if name == "data":
        return "`~/.local/share/forgelet`"
    return "none" if field.default in (None, "") else code(field.default)


def undocumented() -> Iterator[str]:
    words = attribute_words(Settings)
    yield from (f"the setting {name} has no docstring" for name in Settings.model_fields if not words.get(name))

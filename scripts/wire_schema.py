#!/usr/bin/env python3
"""Make emulator/wire/uforge.json from the full type listing: `scripts/wire_schema.py types.json`.

The listing was read from the client's own bindings (297 reachable types with every inherited element repeated). Kept here are the
reachable types: `[base, abstract, inherits, elements]`; an element is `[name, type, min, max]`, max 0 meaning unbounded. With
`inherits` the elements of the base come first and are left out here; in a few repeating groups they do not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "emulator" / "wire" / "uforge.json"


def element(one: dict[str, Any]) -> list[Any]:
    most = 0 if one["max"] == "unbounded" else one["max"]
    return [one["name"], one["type"], one["min"], most]


def kept(full: dict[str, Any]) -> dict[str, Any]:
    """The compact schema."""
    types: dict[str, Any] = {}
    for name, told in sorted(full["complexTypes"].items()):
        elements = [element(one) for one in told["elements"]]
        base = told["base"] if told["base"] in full["complexTypes"] else None
        inherited = [element(one) for one in full["complexTypes"][base]["elements"]] if base else []
        inherits = elements[: len(inherited)] == inherited
        types[name] = [base, int(told.get("abstract", False)), int(inherits), elements[len(inherited) :] if inherits else elements]
    roots = {name: told["type"] for name, told in sorted(full["rootElements"].items()) if told["type"] in types}
    simple = {name: [told["base"], told.get("enum")] for name, told in sorted(full["simpleTypes"].items())}
    return {"namespace": full["namespace"], "roots": roots, "simple": simple, "types": types}


if __name__ == "__main__":
    schema = kept(json.loads(Path(sys.argv[1]).read_text()))
    lines = [f'"{key}": {{\n' + ",\n".join(f'"{name}":{json.dumps(one, separators=(",", ":"))}' for name, one in schema[key].items()) + "\n}" for key in ("roots", "simple", "types")]
    OUT.write_text(f'{{"namespace": {json.dumps(schema["namespace"])},\n' + ",\n".join(lines) + "\n}\n")

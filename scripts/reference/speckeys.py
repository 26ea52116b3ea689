"""The keys of builder and template files, read off the code that reads them.

Every reader asks a `Section` for its keys, `section.text("name", …)`: the calls are found in the syntax tree. `PLACES` says where in the
file each reading function stands; a function that reads keys and is not named there is undocumented.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from builders import bundle, installation, spec, stack
from emulator.resources.publications import asked as asked_keys
from reference.text import code, heading, table

PLACES = {
    "stack._stack": "stack",
    "stack._system": "stack.os",
    "stack._wish": "stack.os.pkgs[]",
    "stack._update_to": "stack.os",
    "stack._script": "stack.config[]",
    "installation.read_installation": "stack.installation",
    "installation._root": "stack.installation.rootUser",
    "installation._keys": "stack.installation.rootUser.sshKeys[], users[].sshKeys[]",
    "installation._user": "stack.installation.users[]",
    "installation._group": "stack.installation.groups[]",
    "installation._interfaces": "stack.installation",
    "installation._interface": "stack.installation.nics[]",
    "installation._address": "stack.installation.nics[].ipAddresses[]",
    "installation._keyboard": "stack.installation",
    "installation._timezone": "stack.installation",
    "installation._parameters": "stack.installation",
    "installation._partitioned": "stack.installation.partitioning (disks[], partitions[])",
    "bundle.read_bundle": "a bundle: stack.bundles[], or a bundle file",
    "bundle._restrictions": "a bundle: stack.bundles[], or a bundle file",
    "bundle._file": "files[] of a bundle",
}
"""Function that reads keys -> where they stand in the file."""
INDIRECT = {"stack._from_library", "stack.parse_stack", "bundle._place", "bundle._document", "stack._document"}
"""Read keys that another function reads and tells as well, or whose names they are given."""
ASKED = {"text": "text", "title": "text", "flag": "true or false", "number": "number", "choice": "one of", "section": "mapping", "sections": "list of mappings", "nodes": "list", "refuse": "cannot be built"}
BUILDER = {
    "type": "what kind of image: " + ", ".join(spec.TYPES),
    "installation.diskSize": f"MiB, exactly the virtual size: {spec.DISK_SIZES[0]} to {spec.DISK_SIZES[1]}",
    "installation.swapSize": "MiB of a swap file, of a template; the copy of a scan has the swap of its source",
    "hardwareSettings.memory": f"MiB: {spec.MEMORY_SIZES[0]} to {spec.MEMORY_SIZES[1]}",
    "hardwareSettings.hwType": "taken, and without effect",
    "format": "one of, or a list of: " + ", ".join(spec.FORMATS),
}
"""The keys of one builder that are no choice (`policies`); every other one is kept for publishing."""

PUBLISHING = {
    "account": "the cloud account: its name, or a mapping with one of `name`, `dbId`, `uri`; `file` (an account file) or `cloud` (of clouds.yaml) keep it first",
    "displayName": "name of the image in the cloud; the image's own unless given",
    "imageName": "the same; older",
    "publicImage": "whether everybody in the cloud may use it: yes or no",
    "keystoneDomain": "domain of the project; the account's unless given",
    "keystoneProject": "project that the image belongs to; the account's unless given",
    "tenantName": "the same; older",
    "tenant": "the same; oldest",
}
"""The keys of one builder that publishing reads; no build minds them."""


def policies() -> dict[str, str]:
    """What each key that chooses among ways to build says, from the words under `POLICIES`."""
    body = ast.parse(inspect.getsource(spec)).body
    said = next(after for one, after in itertools.pairwise(body) if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "POLICIES")
    told: dict[str, str] = {}
    name = ""
    for line in ast.literal_eval(ast.unparse(said)).splitlines():
        if match := re.match(r"(\w+)  +(.*)", line):
            name, told[match[1]] = match[1], match[2]
        elif name and line.startswith(" "):
            told[name] += " " + line.strip()
    return told


@dataclass(frozen=True)
class Key:
    """One key that a function reads."""

    reader: str
    name: str
    what: str
    required: bool


def keys() -> Iterator[Key]:
    """Every key that the readers of templates ask for."""
    for module in (stack, installation, bundle):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                yield from asked(module, node)


def asked(module: ModuleType, function: ast.FunctionDef) -> Iterator[Key]:
    reader = f"{module.__name__.rpartition('.')[2]}.{function.name}"
    seen: set[str] = set()
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        method = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
        place = 1 if method == "_place" else 0
        if (method not in ASKED and method != "_place") or len(call.args) <= place or not isinstance(call.args[place], ast.Constant):
            continue
        name = str(call.args[place].value)
        if name not in seen:
            seen.add(name)
            yield Key(reader, name, told(module, method, call), any(one.arg == "required" and getattr(one.value, "value", True) for one in call.keywords))


def told(module: ModuleType, method: str, call: ast.Call) -> str:
    """The type of a key and its limits, from the arguments of the call."""
    if method == "_place":
        return "absolute path"
    what = next((str(one.value.value) for one in call.keywords if one.arg == "what" and isinstance(one.value, ast.Constant)), "")
    if method == "choice":
        return "one of: " + ", ".join(map(str, value(module, call.args[1])))
    if method == "number":
        limits = [str(end) for one in call.args[1:] for end in (value(module, one.value) if isinstance(one, ast.Starred) else [value(module, one)])]
        return "number from " + " to ".join(limits)
    if method == "refuse" and isinstance(call.args[1], ast.Constant):
        return f"refused: {call.args[1].value}"
    return ASKED[method] + (f": {what}" if what else "")


def value(module: ModuleType, node: ast.expr) -> Any:
    """The value of an argument: a literal, or a constant of the module."""
    return eval(compile(ast.Expression(node), "argument", "eval"), vars(module))


def page() -> str:
    lines = heading("Builder and template files", "YAML, or JSON. Every mistake is told at once, with its line. A file has `builders`, a template's file `stack` too.")
    rows = [(code(f"builders[].{name}"), what, "") for name, what in BUILDER.items()]
    rows += [(code(f"builders[].{name}"), f"one of: {', '.join(spec.POLICIES[name])}; {what}", code(spec.POLICIES[name][0])) for name, what in policies().items()]
    lines += ["## A builder", "", *table(("key", "what it says", "unless given"), rows)]
    published = [(code(f"builders[].{name}"), what) for name, what in PUBLISHING.items()]
    lines += ["### Publishing", "", "No build minds these; `forgelet image publish` reads them. Other keys are kept with the image.", "", *table(("key", "what it says"), published)]
    found: dict[str, list[Key]] = {}
    for key in keys():
        if key.reader in PLACES:
            found.setdefault(PLACES[key.reader], []).append(key)
    lines += ["## A template", ""]
    for place, members in found.items():
        lines += [f"### {place}", "", *table(("key", "value", ""), [(code(one.name), one.what, "*required*" if one.required else "") for one in members])]
    return "\n".join(lines)


def undocumented() -> Iterator[str]:
    yield from sorted({f"{key.reader} reads keys, and PLACES does not say where in the file" for key in keys()} - {f"{one} reads keys, and PLACES does not say where in the file" for one in {*PLACES, *INDIRECT}})
    yield from (f"the builder's key {name} is not told" for name in spec.OWN_KEYS if not any(key.partition(".")[0] == name for key in [*BUILDER, *policies()]))
    yield from (f"the key {name} of publishing is not told" for name in (*asked_keys.NAMES, *asked_keys.PROJECTS, *asked_keys.OTHERS) if name not in PUBLISHING)
    yield from (f"{name} is told, and is no choice of a builder's" for name in policies().keys() - spec.POLICIES.keys())

"""The builder file: what image to make. YAML or JSON, hammr's keys.

    builders:
    - type: openstack
      hardwareSettings: {memory: 1024}     # MiB
      installation: {diskSize: 2000}       # MiB, exactly the virtual size
      format: qcow2                        # or raw, vmdk, vhd, vdi, or several: [qcow2, raw]
      packages: exact                      # or nearest: what to do about versions that no repository offers
      strategy: packages                   # or replicate: every package is packed again from the source's own files
      network: dhcp                        # or keep: the source's network configuration stays as it is
      compression: zstd                    # of a qcow2; or zlib, none
      compat: 1.1                          # of a qcow2; or 0.10, for old readers
      account: …                           # this and every other key is kept for publishing

Source of the keys: hammr's *Migrating a Live System* and its OpenStack builder; `packages` and those that follow are ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from builders.bounded import DEPTH, Loader, TooDeep, excess, unwritable
from builders.errors import SpecError

TYPES = {
    "openstack": "qcow2",
    "openstack qcow2": "qcow2",
    "openstack vmdk": "vmdk",
    "openstack vhd": "vhd",
    "openstack vdi": "vdi",
    "qcow2": "qcow2",
    "kvm": "qcow2",
    "raw virtual disk": "raw",
}
"""Builder types, lower case, and the format that each makes when none is asked for: all that are one bare disk that boots by BIOS."""

FORMATS = ("qcow2", "raw", "vmdk", "vhd", "vdi")
POLICIES = {
    "packages": ("exact", "nearest"),
    "strategy": ("packages", "replicate"),
    "network": ("dhcp", "keep"),
    "compression": ("zstd", "zlib", "none"),
    "compat": ("1.1", "0.10"),
}
"""Keys of ours that choose among ways to build: the words each knows, the one that holds unless it is given first.

packages   what to do about a package that no repository offers and that the scan did not capture: `exact` refuses to build, `nearest`
           takes the nearest version there is, leaves out what there is none of, and says so
strategy   `packages` installs from the repositories what they offer, `replicate` packs every package again from the source's own files
network    `dhcp` translates the source's configuration to DHCP on every wired interface, `keep` leaves it as it is
compression  of a qcow2: `zstd` is smaller and quicker, `zlib` is for readers before QEMU 5.1, `none` for what is written to soon
compat     of a qcow2: `0.10` is for readers before QEMU 1.1, and knows zlib at most
"""
OWN_KEYS = frozenset({"type", "hardwareSettings", "installation", "format", *POLICIES})
NAMING = frozenset({"name", "type", "file", "cloud", "uri", "dbId"})
"""Keys of a builder's `account` that say which one it is."""
DISK_SIZES = (64, 2 * 1024 * 1024)
"""MiB; an MBR addresses 2 TiB at most."""
SWAP_SIZES = (0, 64 * 1024)
MEMORY_SIZES = (64, 1024 * 1024)


@dataclass(frozen=True, slots=True)
class BuilderSpec:
    """One entry of `builders`, checked."""

    type: str
    """As it was written: `openstack`"""
    disk_size: int
    """MiB, exactly the virtual size of the image."""
    memory: int
    """MiB"""
    formats: tuple[str, ...] = ("qcow2",)
    publishing: dict[str, Any] = field(default_factory=dict)
    """`account` (without secrets), `tenant`, `imageName`, `publicImage` …: kept for publishing, never block a build."""
    line: int = 0
    """Where `installation.diskSize` stands in the file, counted from 1."""
    packages: str = "exact"
    strategy: str = "packages"
    network: str = "dhcp"
    compression: str = "zstd"
    compat: str = "1.1"
    """See `POLICIES`."""
    swap_size: int = 0
    """MiB of a swap file, for a template; 0: what its stack says."""
    offline: bool = False
    """Nothing may be fetched; asked for by the request (`--offline`), never by the file."""


@dataclass(slots=True)
class Reader:
    """Reads a document node by node and remembers every mistake with its place."""

    problems: list[str] = field(default_factory=list)

    def problem(self, node: yaml.Node, key: str, text: str) -> None:
        self.problems.append(f"line {node.start_mark.line + 1}, {key}: {text}")

    def mapping(self, node: yaml.Node, key: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, key, "must be a mapping of keys to values")
            return {}
        found: dict[str, yaml.Node] = {}
        for name, value in node.value:
            if name.value in found:
                self.problem(name, f"{key}.{name.value}".lstrip("."), "is given twice")
            found[str(name.value)] = value
        return found

    def number(self, parent: yaml.Node, values: dict[str, yaml.Node], key: str, limits: tuple[int, int]) -> int:
        name = key.rpartition(".")[2]
        if name not in values:
            self.problem(parent, key, f"is missing (MiB, a whole number from {limits[0]} to {limits[1]})")
            return 0
        value = plain(values[name])
        if isinstance(value, str) and value.strip().isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(values[name], key, f"must be a whole number of MiB, not {shown(value)}")
            return 0
        if not limits[0] <= value <= limits[1]:
            self.problem(values[name], key, f"must be from {limits[0]} to {limits[1]} MiB, not {value}")
        return value


def without_secrets(builder: Mapping[str, Any]) -> dict[str, Any]:
    """A builder as it may be kept: of an `account` that is written out, with its password, only what names it."""
    account = builder.get("account")
    return {**builder, "account": {key: value for key, value in account.items() if key in NAMING}} if isinstance(account, Mapping) else dict(builder)


def parse(text: str, name: str) -> list[BuilderSpec]:
    """Every builder of the file `name` in order. Raises `SpecError` that names every mistake with line and key."""
    reader = Reader()
    specs = list(_builders(reader, compose(text, name)))
    if reader.problems:
        raise refused(name, reader.problems, specs)
    return specs


def refused(name: str, problems: Sequence[str], specs: Sequence[BuilderSpec] = ()) -> SpecError:
    """The error that names all `problems`, in the order of their lines."""
    return SpecError(
        f"the template file [{name}] has {len(problems)} mistake{'s' if len(problems) > 1 else ''}; nothing was started",
        hint="mend the lines named above and run the command again",
        problems=sorted(problems, key=_line),
        specs=specs,
    )


def _line(problem: str) -> int:
    match = re.match(r"line (\d+)", problem)
    return int(match[1]) if match else 0


def compose(text: str, name: str) -> yaml.Node:
    """The document as nodes that know their lines. Raises `SpecError`."""
    try:
        if name.endswith(".json"):
            json.loads(text)
            text = text.replace("\t", " ")
        node = yaml.compose(text, Loader=Loader)
    except json.JSONDecodeError as error:
        raise refused(name, [f"line {error.lineno}, column {error.colno}: is not JSON: {error.msg}"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
        raise refused(name, [f"{place}: is not YAML: {_unquoted(error.problem or error.context or '')}"]) from None
    except (TooDeep, RecursionError) as error:
        raise refused(name, [f"line 1: there are more than {DEPTH} levels"]) from error
    except yaml.YAMLError as error:
        raise refused(name, ["line 1: is not YAML: it has a character that is not allowed"]) from error
    if node is None:
        raise refused(name, ["line 1, builders: is missing (the file is empty)"])
    if wrong := excess(node):
        raise refused(name, [f"line 1: {wrong}"])
    if lines := unwritable(node):
        raise refused(name, [f"line {line}: has a character that no file, name or answer can have (NUL, or half of a surrogate pair)" for line in lines])
    return node


def _unquoted(problem: str) -> str:
    """A parser's complaint without words of the file, such as the name of an alias, which may be a password; `'@'` and `'<block end>'` stay."""
    return re.sub(r"\s*'(?!<)[^']{2,}'", "", problem)


def _builders(reader: Reader, node: yaml.Node) -> Iterator[BuilderSpec]:
    top = reader.mapping(node, "")
    if reader.problems:
        return
    if "builders" not in top:
        reader.problem(node, "builders", "is missing (a list of builders)")
        return
    if not isinstance(top["builders"], yaml.SequenceNode) or not top["builders"].value:
        reader.problem(top["builders"], "builders", "must be a list with at least one builder")
        return
    for number, entry in enumerate(top["builders"].value):
        yield _builder(reader, entry, f"builders[{number}]")


def _builder(reader: Reader, node: yaml.Node, key: str) -> BuilderSpec:
    values = reader.mapping(node, key)
    if not isinstance(node, yaml.MappingNode):
        return BuilderSpec("", 0, 0)
    kind = _type(reader, node, values, key)
    disk = _section(reader, node, values, f"{key}.installation", "diskSize", DISK_SIZES, {"diskSize", "swapSize"})
    memory = _section(reader, node, values, f"{key}.hardwareSettings", "memory", MEMORY_SIZES, {"memory", "hwType"})
    publishing = without_secrets({name: plain(value) for name, value in values.items() if name not in OWN_KEYS})
    packages, strategy, network, compression, compat = (_policy(reader, values, name, key) for name in POLICIES)
    formats = _formats(reader, values, kind, key)
    if compat == "0.10" and "compression" not in values:
        compression = "zlib"
    _fits(reader, values, formats, (compression, compat), key)
    swap = _swap(reader, values, f"{key}.installation.swapSize")
    return BuilderSpec(kind, disk[0], memory[0], formats, publishing, disk[1], packages, strategy, network, compression, compat, swap)


def _fits(reader: Reader, values: dict[str, yaml.Node], formats: Sequence[str], asked: tuple[str, str], key: str) -> None:
    """What is said of a qcow2 must be about one, and be possible."""
    for name in ("compression", "compat"):
        if name in values and "qcow2" not in formats:
            reader.problem(values[name], f"{key}.{name}", f"is for a qcow2, and the format is {', '.join(formats)}")
    if asked == ("zstd", "0.10"):
        reader.problem(values["compression"], f"{key}.compression", "compat 0.10 does not know zstd: zlib or none")


def _policy(reader: Reader, values: dict[str, yaml.Node], name: str, key: str) -> str:
    known = POLICIES[name]
    node = values.get(name)
    # As it was written: YAML takes 0.10 for a number, and cuts it.
    value = (node.value if isinstance(node, yaml.ScalarNode) else plain(node)) if node is not None else known[0]
    if value not in known:
        value = plain(values[name])
        reader.problem(values[name], f"{key}.{name}", f"must be {' or '.join(known) if len(known) < 3 else ', '.join(known)}, not {shown(value)}")
        return known[0]
    return str(value)


def _type(reader: Reader, node: yaml.Node, values: dict[str, yaml.Node], key: str) -> str:
    if "type" not in values:
        reader.problem(node, f"{key}.type", f"is missing (one of: {', '.join(TYPES)})")
        return ""
    kind = str(plain(values["type"]))
    if kind.lower() not in TYPES:
        reader.problem(values["type"], f"{key}.type", f"unknown type '{kind}' (known: {', '.join(TYPES)})")
    return kind


def _section(
    reader: Reader,
    node: yaml.Node,
    values: dict[str, yaml.Node],
    key: str,
    wanted: str,
    limits: tuple[int, int],
    known: set[str],
) -> tuple[int, int]:
    """The number `wanted` of one section and its line."""
    name = key.rpartition(".")[2]
    if name not in values:
        reader.problem(node, key, f"is missing (with {wanted}: MiB)")
        return 0, 0
    section = reader.mapping(values[name], key)
    for other in section.keys() - known:
        reader.problem(section[other], f"{key}.{other}", f"unknown key (known: {', '.join(sorted(known))})")
    number = reader.number(values[name], section, f"{key}.{wanted}", limits)
    return number, section.get(wanted, values[name]).start_mark.line + 1


def _swap(reader: Reader, values: dict[str, yaml.Node], key: str) -> int:
    node = values.get("installation")
    rows = node.value if isinstance(node, yaml.MappingNode) else []
    found = {name.value: value for name, value in rows if name.value == "swapSize"}
    return reader.number(found["swapSize"], found, key, SWAP_SIZES) if found else 0


def _formats(reader: Reader, values: dict[str, yaml.Node], kind: str, key: str) -> tuple[str, ...]:
    if "format" not in values:
        return (TYPES.get(kind.lower(), FORMATS[0]),)
    asked = plain(values["format"])
    names = asked if isinstance(asked, list) else [asked]
    for name in names:
        if name not in FORMATS:
            reader.problem(values["format"], f"{key}.format", f"unknown format {shown(name)} (known: {', '.join(FORMATS)})")
    if not names:
        reader.problem(values["format"], f"{key}.format", "must name at least one format")
    return tuple(dict.fromkeys(str(name) for name in names))


def plain(node: yaml.Node) -> Any:
    """The value of a node as the safe loader makes it; what it cannot make stays text."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError):
        return str(getattr(node, "value", ""))
    finally:
        loader.dispose()


def data(node: yaml.Node) -> Any:
    """The value of a node for JSON, such that it reads the same again: what YAML takes for a date, a fraction or an octal number (`0755`)
    stays the text that was written."""
    if isinstance(node, yaml.MappingNode):
        return {str(data(key)): data(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [data(one) for one in node.value]
    value = plain(node)
    return value if value is None or isinstance(value, bool) or (isinstance(value, int) and str(value) == node.value) else str(node.value)


def shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else type(value).__name__ if isinstance(value, dict | list) else str(value)

"""A migration file: hammr's, with sources and wishes of ours. Every mistake is named with its place.

Values are read as they are written (a password of digits stays one); the builder is the service's to judge and goes there as YAML has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from cli.commands.build import read_file
from cli.commands.run import opened
from cli.errors import CommandError
from cli.yamlfile import data_of

SOURCES = ("host", "docker", "libvirt", "local", "root")
WORDS = {
    "missing": "is missing",
    "bool_parsing": "must be yes or no",
    "bool_type": "must be yes or no",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
}
"""Kind of a mistake -> what is said of it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))


class Source(_Part):
    """What is migrated: one of `SOURCES`, and how it is reached."""

    host: str = ""
    docker: str = ""
    libvirt: str = ""
    local: bool = False
    root: str = ""
    ssh_port: int = Field(default=22, ge=1, le=65535)
    user: str = "root"
    password: str = ""
    identity_file: str = ""
    accept_new_host_key: bool = False
    jump: str = ""
    dir: str = ""
    exclude: list[str] = []
    overlay: bool = True

    @property
    def label(self) -> str:
        if self.host:
            return f"ssh:{self.user}@{self.host}:{self.ssh_port}"
        if self.root:
            return f"directory:{Path(self.root).absolute()}"
        return "local" if self.local else f"docker:{self.docker}" if self.docker else f"libvirt:{self.libvirt}"


def _keys(given: object) -> object:
    return [given] if isinstance(given, str) else given


class Provision(_Part):
    """The instance at the end."""

    flavor: str = Field(min_length=1)
    name: str = ""
    key: Annotated[list[str], BeforeValidator(_keys)] = []
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = []
    network: str = ""


class Verify(_Part):
    """The proof at the end."""

    probes: list[str] = []


def _proof(given: object) -> object:
    """Yes and no stand for a proof without probes and for none."""
    if isinstance(given, str):
        from pydantic import TypeAdapter

        try:
            return {} if TypeAdapter(bool).validate_python(given) else None
        except ValidationError:
            pass
    if not isinstance(given, dict):
        raise ValueError("must be yes, no, or {probes: […]}")
    return given


class Goal(_Part):
    """Where it goes."""

    builder: dict[str, Any]
    publish: bool = True
    provision: Provision | None = None
    verify: Annotated[Verify | None, BeforeValidator(_proof)] = None


class Migration(_Part):
    """The file's `migration`."""

    name: str = Field(min_length=1, max_length=100)
    os: str = "linux"
    source: Source = Source()
    target: Goal

    @field_validator("os")
    @classmethod
    def _linux(cls, value: str) -> str:
        if value != "linux":
            raise ValueError(f"'{value}' cannot be migrated, only linux")
        return value


PARTS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Migration,
    ("source",): Source,
    ("target",): Goal,
    ("target", "provision"): Provision,
    ("target", "verify"): Verify,
}


def request_of(text: str, file: Path) -> dict[str, Any]:
    """A migration file as the service takes it. Raises `CommandError` that names every mistake."""
    found, typed = _migration(data_of(text, file, raw=True)), _migration(data_of(text, file))
    if found is None or typed is None:
        raise CommandError(f"{file} has no `migration`", hint="migration: {name: …, source: {…}, target: {builder: {…}}}")
    problems = list(_sources(found))
    try:
        asked = Migration.model_validate(_said(found))
    except ValidationError as error:
        problems = sorted([*_named(error), *problems], key=_rank)
    if problems:
        raise CommandError(f"{file} has {len(problems)} mistakes; nothing was started", hint="mend the keys named above", problems=problems)
    return _request(asked, typed["target"]["builder"], file)


def _migration(told: Any) -> dict[str, Any] | None:
    found = told.get("migration") if isinstance(told, dict) else None
    return found if isinstance(found, dict) else None


def _said(value: Any) -> Any:
    """Without keys that nothing is said of."""
    return {key: _said(one) for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def _sources(found: dict[str, Any]) -> Iterator[str]:
    source = found.get("source") or {}
    if isinstance(source, dict):
        given = [one for one in SOURCES if source.get(one) and not (one == "local" and str(source[one]).lower() in ("false", "no", "off"))]
        if len(given) != 1:
            yield f"migration.source: one of {', '.join(SOURCES)} says what is migrated, not {len(given)}"


def _named(error: ValidationError) -> Iterator[str]:
    for one in error.errors():
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"])
        if one["type"] == "extra_forbidden":
            known = sorted(str(field.alias) for field in PARTS[tuple(map(str, one["loc"][:-1]))].model_fields.values())
            said = f"unknown key (known: {', '.join(known)})"
        else:
            said = WORDS.get(one["type"]) or one["msg"].removeprefix("Value error, ")
        yield f"migration{place}: {said}"


def _rank(problem: str) -> tuple[bool, int]:
    """Keys that there are not first: they may be the others, misspelt. Then as the file has them."""
    place = problem.partition(":")[0].removeprefix("migration.")
    return ": unknown key" not in problem, next((number for number, name in enumerate(Migration.model_fields) if place.startswith(name)), -1)


def _request(asked: Migration, builder: dict[str, Any], file: Path) -> dict[str, Any]:
    source, target = asked.source, asked.target
    request: dict[str, Any] = {
        "name": asked.name,
        "target": source.label,
        "exclude": source.exclude,
        "overlay": source.overlay,
        "builder": builder,
        "publish": target.publish,
        "verify": target.verify is not None,
        "probes": target.verify.probes if target.verify else [],
    }
    if target.provision is not None:
        wanted = target.provision.model_dump(exclude={"key"}, exclude_unset=True)
        request["provision"] = {**wanted, "publicKeys": [read_file(_path(one, file)).strip() for one in target.provision.key]}
    if source.host:
        identity = _path(source.identity_file, file) if source.identity_file else None
        given = {"password": source.password, "identity": identity, "jump": source.jump, "dir": source.dir, "acceptNewHostKey": source.accept_new_host_key}
        request["access"] = opened({key: value for key, value in given.items() if value}, source.label)
    return request


def _path(given: str, file: Path) -> Path:
    return file.parent / Path(given).expanduser()

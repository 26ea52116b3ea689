"""The help of every command, as `forgelet … --help` has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.main import tree
from reference.text import code, first, heading, table

Found = tuple[str, Any]


def commands() -> Iterator[Found]:
    """Every command that does something, by its whole name, groups left out."""

    def walk(command: Any, name: str) -> Iterator[Found]:
        under = getattr(command, "commands", {})
        if not under:
            yield name, command
        for word, one in sorted(under.items()):
            yield from walk(one, f"{name} {word}")

    yield from walk(tree(), "forgelet")


def groups() -> Iterator[Found]:
    """`forgelet`, and every noun under it."""
    top: Any = tree()
    yield "forgelet", top
    yield from ((f"forgelet {word}", one) for word, one in sorted(top.commands.items()) if getattr(one, "commands", {}))


def page() -> str:
    lines = heading(
        "Commands",
        "Every command takes `-o json` or `-o yaml`: only that on standard output (but `serve`, `shell`, `deploy ssh` and `deploy console`, which are people's). How a command ends: [exit codes](errors.md). "
        "The options of the connection may stand anywhere:",
    )
    lines += options(tree())
    for name, group in groups():
        members = [(one, command) for one, command in commands() if one.rpartition(" ")[0] == name]
        if members:
            lines += [f"## {name}", "", group.help or "", ""]
        for one, command in members:
            lines += [f"### {one}", "", "```text", usage(one, command), "```", "", *prose(command.help), *options(command)]
    return "\n".join(lines)


def prose(said: str | None) -> list[str]:
    """A docstring as paragraphs."""
    return [part for block in (said or "").split("\n\n") for part in (" ".join(block.split()), "")]


def usage(name: str, command: Any) -> str:
    words = [name, *("[OPTIONS]" for one in command.params[:1])]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    return " ".join([*words, *((spoken(one) if one.required else f"[{spoken(one)}]") + ("..." if one.nargs == -1 else "") for one in arguments)])


def spoken(one: Any) -> str:
    """The word for a value: `NAME`."""
    return str(one.metavar or one.name.upper())


def options(command: Any) -> list[str]:
    rows = [row(one) for one in command.params if one.name != "help"]
    return table(("option", "what it says", "unless given"), rows) if rows else []


def row(one: Any) -> tuple[str, str, str]:
    if one.param_type_name == "argument":
        return code(spoken(one)), first(one.help), ""
    names = ", ".join(code(name) for name in [*one.opts, *one.secondary_opts])
    value = "" if one.is_flag else f" {code(spoken(one))}"
    default = one.default
    shown = "" if default in (None, False, "", (), []) or callable(default) else code(getattr(default, "value", default))
    return names + value, first(one.help), "*required*" if one.required else shown


def undocumented() -> Iterator[str]:
    for name, command in [*groups(), *commands()]:
        if not command.help:
            yield f"'{name}' has no help"
        yield from (f"'{name}': {one.name} has no help" for one in command.params if one.name != "help" and not one.help)

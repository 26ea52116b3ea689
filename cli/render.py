"""What people read: tables in hammr's style. What programs read: JSON, and nothing else on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_YAML = ContextVar("yaml", default=False)
"""Whether this command writes what is for programs as YAML. Each command has a context of its own (`cli.main.run`)."""
T = TypeVar("T", bound=StrEnum)


def chosen(asked: T) -> T:
    """Commands tell people and programs apart; that YAML is JSON written otherwise is a matter of the writing alone."""
    _YAML.set(asked.value == Format.YAML.value)
    return type(asked)("json") if _YAML.get() else asked


def yaml_wanted() -> bool:
    """Whether what is for programs is to be YAML."""
    return _YAML.get()


Output = Annotated[Format, typer.Option("-o", "--output", callback=chosen, help="`json`, `yaml`: only that on standard output.")]


def as_json(data: Any) -> None:
    """The whole answer as JSON, or as YAML where that was asked for; names that are not UTF-8 pass as escaped lone surrogates."""
    text = json.dumps(data, ensure_ascii=True, indent=1)
    if _YAML.get():
        text = _yaml(data)
    sys.stdout.write(text.rstrip("\n") + "\n")


def item(data: Any) -> None:
    """One of many that come one after the other: a line of JSON, or an item of a YAML sequence."""
    sys.stdout.write(_yaml([data]) if _YAML.get() else json.dumps(data) + "\n")
    sys.stdout.flush()


def told(output: Format, data: Any, *lines: str) -> None:
    """How a command ended: `data` for programs, or `lines` for people."""
    if output is Format.JSON:
        as_json(data)
        return
    for line in lines:
        say(line)


def _yaml(data: Any) -> str:
    import yaml

    # Enumerations and the like are what JSON makes of them; every key in the order of the answer.
    text: str = yaml.safe_dump(json.loads(json.dumps(data)), sort_keys=False, width=120)
    return text


def say(line: str) -> None:
    """A line (or a table) for people; what their terminal cannot show is escaped."""
    sys.stdout.write("\n".join(showable(one) for one in line.split("\n")) + "\n")
    sys.stdout.flush()


def warn(line: str) -> None:
    """One line beside the result, on standard error."""
    sys.stderr.write(line.encode("utf-8", "backslashreplace").decode() + "\n")


def showable(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    clean = "".join(c if c.isprintable() or c in "\t" or "\ud800" <= c <= "\udfff" else repr(c)[1:-1] for c in text)
    return clean.encode(encoding, "backslashreplace").decode(encoding)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], centred: Sequence[int] = ()) -> str:
    """The table of the seed page: centred headings, `===` below them, a line below every row. Columns in `centred` are centred."""
    cells = [[showable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]
    rule = _rule(widths, "-")
    lines = [rule, _row([_centre(text, width) for text, width in zip(header, widths, strict=True)]), _rule(widths, "=")]
    for row in cells:
        lines += [_row([_align(text, widths[i], i in centred) for i, text in enumerate(row)]), rule]
    return "\n".join(lines)


def _align(text: str, width: int, centred: bool) -> str:
    return _centre(text, width) if centred else text.ljust(width)


def _centre(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)


def _rule(widths: Sequence[int], mark: str) -> str:
    return "+" + "+".join(mark * (width + 2) for width in widths) + "+"


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " for cell in cells) + "|"


def short(text: str, length: int = 60) -> str:
    """The first line, cut where it gets too long for a table."""
    first = text.partition("\n")[0]
    return first if len(first) <= length else first[: length - 3] + "..."


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def state(status: dict[str, Any]) -> str:
    """An OpStatus in one word."""
    if status["complete"]:
        return "Done"
    if status["error"]:
        return "Error"
    if status["cancelled"]:
        return "Cancelled"
    return f"In progress ({status['percentage']}%)"

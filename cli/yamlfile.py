"""Files that people write: YAML, and JSON, which is YAML too. A mistake is told by its place and never by its text, which may be a password."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError

if TYPE_CHECKING:
    import yaml


def text_of(file: Path, hint: str = "") -> str:
    """What is in the file. Raises `CommandError`."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} cannot be read: it is no UTF-8 (byte {error.start})", hint=hint) from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", hint=hint) from error


def data_of(text: str, file: Path, hint: str = "", *, raw: bool = False) -> Any:
    """What the text says; with `raw` every value but none as it is written, so that `0123` and `yes` stay texts. Raises `CommandError`."""
    import yaml

    try:
        return yaml.load(text, Loader=_as_written() if raw else yaml.SafeLoader)  # both make plain data only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandError(f"{file} cannot be read: it is not YAML{place(error)}", hint=hint) from None


def place(error: Exception) -> str:
    """Where it is wrong, as far as that is known: `: line 3, column 12`."""
    mark: yaml.Mark | None = getattr(error, "problem_mark", None)
    if mark is None:
        return ": it has a character, a value or a depth that YAML does not allow"
    return f": line {mark.line + 1}, column {mark.column + 1}"


@cache
def _as_written() -> type[yaml.SafeLoader]:
    import yaml

    class AsWritten(yaml.SafeLoader):
        """Of what YAML recognizes in plain words only "nothing" and the key that merges."""

        yaml_implicit_resolvers = {  # noqa: RUF012  # as the library has it
            first: [(tag, pattern) for tag, pattern in found if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return AsWritten

"""The fidelity report as one page: nothing is fetched from anywhere, everything is escaped, every item is there."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from builders.explain import rules
from builders.image import Difference, Fidelity


def page(fidelity: Fidelity) -> str:
    """The page, UTF-8."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(loader=PackageLoader("builders.proof", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters["plain"] = plain
    text = templates.get_template("fidelity.html").render(
        found=fidelity,
        strictly=fidelity.strict and not fidelity.unexplained,
        left=[one for one in fidelity.differences if one.rule is None],
        explained=by_rule(fidelity.differences),
        reasons={name: rule.reason for name, rule in rules().items()},
    )
    return text.encode("utf-8", "backslashreplace").decode()


def by_rule(differences: Iterable[Difference]) -> list[tuple[str, list[Difference]]]:
    """Explained differences, by the rule that explains them, in the order of the closed list."""
    order = {name: number for number, name in enumerate(rules())}

    def place(one: Difference) -> int:
        return order.get(one.rule or "", len(order))

    ordered = sorted((one for one in differences if one.rule), key=place)
    return [(members[0].rule or "", members) for members in (list(group) for _, group in groupby(ordered, key=place))]


def plain(value: Any) -> str:
    """A value of `runtime`, for people."""
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)

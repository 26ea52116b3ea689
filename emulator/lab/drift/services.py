"""Mutations of which units there are and which of them start by themselves, as an administrator makes them: with files and links."""

from __future__ import annotations

from emulator.lab.drift.plan import Kind, Plan, came_or_went, changed, mutation, quoted
from emulator.lab.drift.record import Effect, Mutation
from emulator.lab.drift.survey import Unit

CONFIG = "/etc/systemd/system"
WANTS = f"{CONFIG}/multi-user.target.wants"


def _unit(plan: Plan, links: int, wanted_by: str = "") -> tuple[Unit, str] | None:
    """A free unit with so many enabling links, and the first of these."""
    offer = []
    for name, unit in sorted(plan.survey.units.items()):
        mine = [link for link in plan.survey.links if link.rpartition("/")[2] == name]
        if wanted_by in (*unit.wanted_by, "") and unit.plain and len(mine) == links and all(".wants/" in link for link in mine) and plan.free(f"unit {name}"):
            offer.append((unit, mine[0] if mine else ""))
    found = plan.one_of(offer)
    if found:
        plan.take(f"unit {found[0].name}")
    return found


def disable(plan: Plan, kind: str) -> Mutation | None:
    found = _unit(plan, 1)
    if found is None:
        return None
    unit, link = found
    return mutation(kind, unit.name, b"rm " + quoted(link), Effect("services", unit.name, ("state", "wanted_by")), came_or_went(link))


def enable(plan: Plan, kind: str) -> Mutation | None:
    found = _unit(plan, 0, "multi-user.target") if WANTS in plan.survey.paths else None
    if found is None:
        return None
    link = f"{WANTS}/{found[0].name}"
    script = b"ln -s " + quoted(f"/lib/systemd/system/{found[0].name}", link)
    return mutation(kind, found[0].name, script, Effect("services", found[0].name, ("state", "wanted_by")), came_or_went(link))


def mask(plan: Plan, kind: str) -> Mutation | None:
    found = _unit(plan, 0) or _unit(plan, 1)
    if found is None:
        return None
    link = f"{CONFIG}/{found[0].name}"
    fields = ("state", "exec") if found[0].runs else ("state",)
    return mutation(kind, found[0].name, b"ln -s /dev/null " + quoted(link), Effect("services", found[0].name, fields), came_or_went(link))


def add(plan: Plan, kind: str) -> Mutation | None:
    """A unit of the administrator's own, enabled."""
    if WANTS not in plan.survey.paths:
        return None
    name = f"drift-{plan.number()}.service"
    text = "[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n"
    unit, link = f"{CONFIG}/{name}", f"{WANTS}/{name}"
    script = b"printf %s " + quoted(text) + b" > " + quoted(unit) + b"; ln -s " + quoted(unit, link)
    return mutation(kind, name, script, Effect("services", name, ("presence",)), came_or_went(unit, link))


def drop_in(plan: Plan, kind: str) -> Mutation | None:
    """A setting of the administrator's for a unit of a package."""
    found = _unit(plan, 0) or _unit(plan, 1)
    if found is None or f"{CONFIG}/{found[0].name}.d" in plan.survey.paths:
        return None
    folder = f"{CONFIG}/{found[0].name}.d"
    path = f"{folder}/drift-{plan.number()}.conf"
    script = b"mkdir " + quoted(folder) + b"; printf '[Service]\\nNice=5\\n' > " + quoted(path)
    return mutation(kind, found[0].name, script, Effect("services", found[0].name, ("dropins",)), came_or_went(folder), changed(path, "presence"))


KINDS: dict[str, Kind] = {
    "service-disabled": disable,
    "service-enabled": enable,
    "service-masked": mask,
    "service-added": add,
    "service-drop-in": drop_in,
}

"""Mutations of what the system writes down: accounts, and what dpkg, apt, rpm and dnf remember of packages.

Records are edited in place, and every edit makes its file longer: so the file itself is changed in size, contents and time, whatever
else happens to it.
"""

from __future__ import annotations

from emulator.lab.drift.plan import Kind, Plan, changed, mutation, quoted
from emulator.lab.drift.record import Effect, Mutation

STATUS, EXTENDED = "/var/lib/dpkg/status", "/var/lib/apt/extended_states"
RPMDB, LOCKS = "/var/lib/rpm/rpmdb.sqlite", "/etc/dnf/plugins/versionlock.list"


def _longer(*paths: str) -> list[Effect]:
    return [changed(path, "size", "sha256", "mtime") for path in paths]


def _add(path: str, text: str) -> bytes:
    return b"printf %s " + quoted(text) + b" >> " + quoted(path) + b"\n"


def _edit(path: str, program: str) -> bytes:
    return b"sed " + quoted(program, path) + b" > /tmp/.drift; cat /tmp/.drift > " + quoted(path) + b"; rm /tmp/.drift\n"


def add_user(plan: Plan, kind: str) -> Mutation:
    number = plan.number()
    name, uid = f"drift{number}", 20000 + number
    script = _add("/etc/passwd", f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n") + _add("/etc/group", f"{name}:x:{uid}:\n") + _add("/etc/shadow", f"{name}:!:19000::::::\n")
    effects = [Effect("users", name, ("presence",)), Effect("users", f"group {name}", ("presence",))]
    return mutation(kind, name, script, effects, _longer("/etc/passwd", "/etc/group", "/etc/shadow"))


def add_group(plan: Plan, kind: str) -> Mutation:
    number = plan.number()
    name = f"drift{number}"
    return mutation(kind, name, _add("/etc/group", f"{name}:x:{20000 + number}:\n"), Effect("users", f"group {name}", ("presence",)), _longer("/etc/group"))


def _account(plan: Plan, what: str, rows: list[list[str]]) -> list[str] | None:
    row = plan.one_of(row for row in rows if row[0].isalnum() and plan.free(f"{what} {row[0]}"))
    if row:
        plan.take(f"{what} {row[0]}")
    return row


def change_shell(plan: Plan, kind: str) -> Mutation | None:
    row = _account(plan, "shell", plan.survey.passwd)
    if row is None:
        return None
    script = _edit("/etc/passwd", f"s|^\\({row[0]}:.*\\):[^:]*$|\\1:{row[6]}/drift-{plan.number()}|")
    return mutation(kind, row[0], script, Effect("users", row[0], ("shell",)), _longer("/etc/passwd"))


def change_home(plan: Plan, kind: str) -> Mutation | None:
    row = _account(plan, "home", plan.survey.passwd)
    if row is None:
        return None
    script = _edit("/etc/passwd", f"s|^\\({row[0]}:.*\\):\\([^:]*\\)$|\\1/drift-{plan.number()}:\\2|")
    return mutation(kind, row[0], script, Effect("users", row[0], ("home",)), _longer("/etc/passwd"))


def set_password(plan: Plan, kind: str) -> Mutation | None:
    row = _account(plan, "password", [row for row in plan.survey.shadow if row[1] in ("*", "!", "!*")])
    if row is None:
        return None
    script = _edit("/etc/shadow", f"s|^{row[0]}:[^:]*:|{row[0]}:$6$drift$hash:|")
    return mutation(kind, row[0], script, Effect("users", row[0], ("password",)), _longer("/etc/shadow"))


def add_member(plan: Plan, kind: str) -> Mutation | None:
    row = _account(plan, "group", plan.survey.group)
    if row is None:
        return None
    script = _edit("/etc/group", f"s|^{row[0]}:.*$|&{',' if row[3] else ''}drift|")
    return mutation(kind, row[0], script, Effect("users", f"group {row[0]}", ("members",)), _longer("/etc/group"))


def _package(plan: Plan, what: str, fits: str = "") -> tuple[str, str] | None:
    offer = ((name, arch) for name, arch, want in plan.survey.packages if fits in ("", want) and plan.free(f"{what} {name}"))
    found = plan.one_of(offer)
    if found:
        plan.take(f"{what} {found[0]}")
    return found


def hold(plan: Plan, kind: str) -> Mutation | None:
    """`hold` is shorter than `install`: a field that dpkg keeps and nobody reads makes up for it."""
    found = _package(plan, "selection", "install")
    if found is None:
        return None
    script = _edit(STATUS, f"/^Package: {found[0]}$/,/^$/s/^Status: install \\(.*\\)$/Status: hold \\1\\nDrift: {plan.number()}/")
    return mutation(kind, found[0], script, Effect("packages", ":".join(found), ("hold",)), _longer(STATUS))


def change_version(plan: Plan, kind: str) -> Mutation | None:
    found = _package(plan, "version")
    if found is None:
        return None
    script = _edit(STATUS, f"/^Package: {found[0]}$/,/^$/s/^Version: .*$/&+drift{plan.number()}/")
    return mutation(kind, found[0], script, Effect("packages", ":".join(found), ("version",)), _longer(STATUS))


def add_package(plan: Plan, kind: str) -> Mutation | None:
    if not plan.survey.packages:
        return None
    name = f"drift-{plan.number()}"
    text = f"\nPackage: {name}\nStatus: install ok installed\nMaintainer: Drift <drift@localhost>\nArchitecture: all\nVersion: 1.0\nDescription: drift\n\n"
    return mutation(kind, name, _add(STATUS, text), Effect("packages", f"{name}:all", ("presence",)), _longer(STATUS))


def mark_auto(plan: Plan, kind: str) -> Mutation | None:
    offer = [(name, arch) for name, arch, _ in plan.survey.packages if arch != "all" and name not in plan.survey.auto]
    found = plan.one_of(one for one in offer if plan.free(f"auto {one[0]}"))
    if found is None:
        return None
    plan.take(f"auto {found[0]}")
    text = f"\nPackage: {found[0]}\nArchitecture: {found[1]}\nAuto-Installed: 1\n\n"
    return mutation(kind, found[0], _add(EXTENDED, text), Effect("packages", ":".join(found), ("auto",)), _longer(EXTENDED))


def _rpm(plan: Plan, what: str) -> tuple[str, str] | None:
    found = plan.one_of(one for one in plan.survey.rpms if plan.free(f"{what} {one[0]}"))
    if found:
        plan.take(f"{what} {found[0]}")
    return found


def forget_rpm(plan: Plan, kind: str) -> Mutation | None:
    """rpm knows it no more, its files stay. What a row leaves in SQLite's file is free pages: the file keeps its size."""
    found = _rpm(plan, "lock")
    if found is None:
        return None
    script = (
        b"cp -r /var/lib/rpm /tmp/.drift-rpm; rpm --dbpath /tmp/.drift-rpm -e --justdb --nodeps --noscripts --notriggers " + quoted(found[0]) + b"\n"
        b"cat /tmp/.drift-rpm/rpmdb.sqlite > " + quoted(RPMDB) + b"; rm -r /tmp/.drift-rpm"
    )
    return mutation(kind, found[0], script, Effect("packages", ":".join(found), ("presence",)), changed(RPMDB, "sha256", "mtime"))


def lock_rpm(plan: Plan, kind: str) -> Mutation | None:
    """As dnf's versionlock writes it."""
    found = _rpm(plan, "lock") if LOCKS in plan.survey.paths else None
    if found is None:
        return None
    plan.take(LOCKS)
    return mutation(kind, found[0], _add(LOCKS, f"{found[0]}\n"), Effect("packages", ":".join(found), ("hold",)), _longer(LOCKS))


DPKG: dict[str, Kind] = {
    "package-hold": hold,
    "package-version": change_version,
    "package-added": add_package,
    "package-auto": mark_auto,
}
RPM: dict[str, Kind] = {
    "rpm-forgotten": forget_rpm,
    "rpm-locked": lock_rpm,
}
KINDS: dict[str, Kind] = {
    "user-added": add_user,
    "group-added": add_group,
    "user-shell": change_shell,
    "user-home": change_home,
    "user-password": set_password,
    "group-member": add_member,
    **DPKG,
    **RPM,
}

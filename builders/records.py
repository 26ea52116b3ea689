"""dpkg's own records in the copy: of packages that were packed again and of removed ones they are the source's.

A package that is packed again holds its files as they were on the source, so what dpkg writes down when it installs it calls changed files
unchanged: `dpkg --verify` would be silent, and an upgrade overwrite an administrator's configuration without asking. Of a package that was
removed and not purged nothing is installed; dpkg still knows its configuration, and how to purge it (dpkg(1), *config-files*).
"""

from __future__ import annotations

from pathlib import Path

from builders.archive import PackageId, parse_stanzas, write_stanza
from builders.bootable import Tree
from builders.capture import INFO, STATUS, identity, record_names, stanzas
from builders.plan import BuildPlan, Verdict
from scanner.overlay import FOREIGN, unpack


def put_back(tree: Tree, plan: BuildPlan, scan: Path) -> int:
    """Write the records that `scan` captured of the plan's packed and removed packages over those of the build; of how many packages.

    A removed package that the build installed keeps the build's. Raises `HostileInput` when the capture is damaged.
    """
    built = tree.at(STATUS).read_bytes().decode(errors="surrogateescape")
    rows = {(fields["Package"], fields["Architecture"]): fields for fields in parse_stanzas(built)}
    there = {(name, arch) for (name, arch), fields in rows.items() if fields["Status"].endswith(" installed")}
    packed = {package.id for package in plan.packages if package.verdict is Verdict.REPACK}
    removed = {identity(package) for package in plan.removed if (package.name, package.arch) not in there}
    known = {one: fields for fields in stanzas(scan) if (one := _identity(fields)) in packed | removed}
    if not known:
        return 0
    ours = record_names(known, {package.name for package in plan.packages} - {one.name for one in packed})
    for _ in unpack(scan / FOREIGN, tree.root, skip=lambda path: not path.startswith(INFO) or path.removeprefix(INFO).rpartition(".")[0] not in ours):
        pass
    rows |= {(one.name, one.arch): fields for one, fields in known.items()}
    tree.write(STATUS, "".join(write_stanza(rows[key]) for key in sorted(rows)))
    return len(known)


def _identity(fields: dict[str, str]) -> PackageId:
    return PackageId(fields["Package"], fields.get("Architecture", ""), fields.get("Version", ""))

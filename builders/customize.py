"""What a template asks for beyond packages and scan, put on the finished disk: accounts, settings, files of bundles, scripts.

It runs as root in a process of its own (`python -m builders.customize JOB.json`) on the mounted file system, after the last pass.
Nothing outside the tree is written; what needs the machine's own tools runs them with the tree as its root.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from builders import origins, traces
from builders.bootable import Tree, make_bootable
from builders.epoch import clamp, source_date
from builders.installation import Account, AccountGroup, Installation, Interface
from builders.lastpass import tree as walk
from builders.placing import installers, place
from builders.plan import BuildPlan
from builders.stack import Stack, parse_document
from builders.steps import Steps
from builders.template import Template

SCRIPTS = "/usr/local/lib/forgelet"
DONE = "/var/lib/forgelet/first-boot-done"
UNIT = """\
[Unit]
Description={what}
After=network-online.target
Wants=network-online.target
{condition}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={runner}

[Install]
WantedBy=multi-user.target
"""
HOST_KEYS = """\
# The image has no host keys: each machine makes its own, also where cloud-init finds no cloud.
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
"""
RUNNER = """\
#!/bin/sh
# Every script of this folder in order; one that fails does not keep the others from running.
failed=0
for script in {folder}/*; do
    echo "running $script"
    "$script" || {{ echo "$script failed ($?)" >&2; failed=1; }}
done
{end}exit $failed
"""
ENCRYPTED = re.compile(r"\$[0-9a-z]+\$.+")


@dataclass(slots=True)
class Job:
    """What is done to which tree."""

    root: str
    template: str
    """Folder of the template."""
    document: str
    """Its stack, as JSON."""
    plan: str
    build_log: str
    """The dpkg log of the base's installation."""
    scratch: bool
    """Whether no last pass came before."""
    sources: str = ""
    """The machine's sources.list, for one without a scan."""
    begun: int = 0
    """When the making of the base began, nanoseconds since 1970."""
    image: str = ""
    """Folder of the image, where it is written down what wrote which path (`traces.py`, `origins.py`); empty: nowhere."""


def main(argv: list[str]) -> int:
    job, begun = Job(**json.loads(Path(argv[0]).read_text())), time.time_ns()
    apply(job)
    root = Path(job.root)
    clamp(root, walk(root), job.begun if job.scratch else begun, source_date())
    return 0


def apply(job: Job) -> None:
    """Everything, in the order in which one thing needs another."""
    root = Path(job.root)
    tree, stack = Tree(root), parse_document(json.loads(job.document))
    template, steps = Template(stack, Path(job.template)), Steps(root)
    if job.scratch:
        with steps.step(traces.START):
            _start(tree, job)
    with steps.step("its accounts"):
        _accounts(root, stack.installation)
    with steps.step("its settings"):
        _settings(tree, stack.installation)
    for bundle in stack.own_bundles:
        with steps.step(f"its bundle {bundle.name} {bundle.version}"):
            place(tree, bundle, template)
    with steps.step("its boot scripts"):
        _scripts(tree, stack, template)
    if job.image:
        _write_down(root, Path(job.image), steps, scratch=job.scratch)


def _start(tree: Tree, job: Job) -> None:
    """What the last pass would have done for a machine that has a source."""
    plan = BuildPlan.model_validate_json(Path(job.plan).read_bytes())
    make_bootable(tree.root, plan, Path(job.build_log).read_text(errors="surrogateescape"), lambda path: False)
    tree.write("/etc/apt/sources.list", job.sources)
    if tree.at("/usr/sbin/sshd", make=False).exists():
        tree.write("/etc/systemd/system/ssh.service.d/10-forgelet.conf", HOST_KEYS)


def _write_down(root: Path, image: Path, steps: Steps, *, scratch: bool) -> None:
    traces.write(image / traces.TEMPLATE, steps.rows)
    if scratch:
        packages = {place.stem.partition(":")[0] for place in (root / "var/lib/dpkg/info").glob("*.list")}
        origins.write(image / origins.FILE, walk(root), {}, origins.owners(root, packages))


def _inside(root: Path, *argv: str, given: str | None = None) -> None:
    done = subprocess.run(["chroot", str(root), *argv], input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed in the image: {(done.stderr or done.stdout).strip()}")


# accounts


def _accounts(root: Path, setup: Installation) -> None:
    for group in setup.groups:
        _group(root, group)
    for user in setup.users:
        _user(root, user)
        _password(root, user.name, user.password)
        _keys(root, user.name, user.keys)
    _password(root, "root", setup.root_password)
    _keys(root, "root", setup.root_keys)
    if setup.lock_root:
        Tree(root).write("/etc/ssh/sshd_config.d/60-forgelet-root.conf", "PermitRootLogin prohibit-password\n")


def _known(root: Path, table: str) -> dict[str, list[str]]:
    rows = (line.split(":") for line in (Tree(root).at(f"/etc/{table}", make=False)).read_text(errors="surrogateescape").splitlines())
    return {row[0]: row for row in rows if len(row) > 2}


def _group(root: Path, group: AccountGroup) -> None:
    number = ["-g", str(group.gid)] if group.gid is not None else []
    if group.name in _known(root, "group"):
        if number:
            _inside(root, "groupmod", *number, group.name)
        return
    _inside(root, "groupadd", *(["-r"] if group.system else []), *number, group.name)


def _user(root: Path, user: Account) -> None:
    """Groups that it names and nothing else makes are made."""
    for name in {user.group, *user.groups} - {"", *_known(root, "group")}:
        _inside(root, "groupadd", *(["-r"] if user.system else []), name)
    options = ["-s", user.shell]
    for flag, value in (("-c", user.full_name), ("-d", user.home), ("-u", user.uid), ("-g", user.group), ("-G", ",".join(user.groups))):
        options += [flag, str(value)] if value not in ("", None) else []
    if user.name in _known(root, "passwd"):
        _inside(root, "usermod", *options, user.name)
        return
    home = ["-r", *(["-m"] if user.home else [])] if user.system else ["-m"]
    group = [] if user.group else ["-N", "-g", user.name] if user.name in _known(root, "group") else ["-U"]
    _inside(root, "useradd", *home, *group, *options, user.name)


def _password(root: Path, user: str, password: str) -> None:
    if password:
        how = ["-e"] if ENCRYPTED.fullmatch(password) else ["-c", "SHA512"]
        _inside(root, "chpasswd", *how, given=f"{user}:{password}\n")


def _keys(root: Path, user: str, keys: tuple[str, ...]) -> None:
    if not keys:
        return
    row = _known(root, "passwd")[user]
    uid, gid, home = int(row[2]), int(row[3]), row[5]
    tree = Tree(root)
    place = tree.at(f"{home}/.ssh/authorized_keys")
    have = place.read_text(errors="surrogateescape") if place.is_file() and not place.is_symlink() else ""
    lines = [*have.splitlines(), *(key for key in keys if key not in have)]
    tree.write(f"{home}/.ssh/authorized_keys", "\n".join(lines) + "\n", 0o600)
    place.parent.chmod(0o700)
    for path in (place.parent, place):
        os.chown(path, uid, gid, follow_symlinks=False)


# settings


def _settings(tree: Tree, setup: Installation) -> None:
    if setup.timezone:
        tree.link("/etc/localtime", f"/usr/share/zoneinfo/{setup.timezone}")
        tree.write("/etc/timezone", f"{setup.timezone}\n")
    if setup.keyboard:
        layout, _, variant = setup.keyboard.partition(":")
        tree.write("/etc/default/keyboard", f'XKBMODEL="pc105"\nXKBLAYOUT="{layout}"\nXKBVARIANT="{variant}"\nXKBOPTIONS=""\n\nBACKSPACE="guess"\n')
    if setup.welcome:
        tree.write("/etc/motd", setup.welcome.rstrip("\n") + "\n")
    if setup.kernel_parameters:
        _kernel(tree, " ".join(setup.kernel_parameters))
    for number, interface in enumerate(setup.interfaces):
        tree.write(f"/etc/systemd/network/{10 + number}-forgelet-{interface.name}.network", network(interface))
    if setup.swap_size:
        _swap(tree, setup.swap_size)


def _kernel(tree: Tree, words: str) -> None:
    """For now (grub.cfg as it is) and for every later `update-grub`."""
    tree.write("/etc/default/grub.d/90-forgelet.cfg", f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {words}"\n')
    place = tree.at("/boot/grub/grub.cfg", make=False)
    text = place.read_text(errors="surrogateescape")
    place.write_text(re.sub(r"(?m)^(\s*linux\s+\S+.*?)[ \t]*$", lambda match: f"{match[1]} {words}", text), errors="surrogateescape")


def network(interface: Interface) -> str:
    """The interface's file. Source: systemd.network(5)."""
    static4 = interface.ipv4 == "static"
    dhcp = {("dhcp", "dhcp"): "yes", ("dhcp", "disabled"): "ipv4", ("disabled", "dhcp"): "ipv6"}
    how = dhcp.get((interface.ipv4, interface.ipv6)) or ("ipv4" if interface.ipv4 == "dhcp" else "ipv6" if interface.ipv6 == "dhcp" else "no")
    lines = ["[Match]", f"Name={interface.name}", "", "[Link]", f"ActivationPolicy={'up' if interface.connect else 'manual'}", "", "[Network]", f"DHCP={how}"]
    if interface.ipv6 == "disabled":
        lines += ["IPv6AcceptRA=no", "LinkLocalAddressing=no"]
    for address, gateway in interface.addresses:
        if (static4 and ":" not in address) or (interface.ipv6 == "static" and ":" in address):
            lines += [f"Address={address}", *([f"Gateway={gateway}"] if gateway else [])]
    return "\n".join(lines) + "\n"


def _swap(tree: Tree, mib: int) -> None:
    place = tree.at("/swapfile")
    place.unlink(missing_ok=True)
    with place.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, mib << 20)
    place.chmod(0o600)
    subprocess.run(["mkswap", "-q", str(place)], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    table = tree.at("/etc/fstab")
    tree.write("/etc/fstab", (table.read_text(errors="surrogateescape") if table.is_file() else "") + "/swapfile none swap sw 0 0\n")


# bundles and scripts


def _scripts(tree: Tree, stack: Stack, template: Template) -> None:
    for every_boot, name, what in ((False, "first-boot", "Scripts of the first boot"), (True, "every-boot", "Scripts of every boot")):
        chosen = [script for script in stack.scripts if script.every_boot == every_boot]
        contents = [(script.name, template.file(script.source).read_bytes()) for script in chosen]
        if not every_boot:
            contents = [*((title, f"#!/bin/sh\n{command}\n".encode()) for title, command in installers(stack.own_bundles)), *contents]
        if contents:
            _install_scripts(tree, contents, name, what, once=not every_boot)


def _install_scripts(tree: Tree, scripts: list[tuple[str, bytes]], name: str, what: str, *, once: bool) -> None:
    folder = f"{SCRIPTS}/{name}"
    for number, (script, contents) in enumerate(scripts):
        title = re.sub(r"[^A-Za-z0-9._-]", "_", script)
        tree.write(f"{folder}/{number:04d}-{title}", contents.decode(errors="surrogateescape"), 0o755)
    end = f"mkdir -p {DONE.rpartition('/')[0]}\ntouch {DONE}\n" if once else ""
    tree.write(f"{SCRIPTS}/run-{name}", RUNNER.format(folder=folder, end=end), 0o755)
    condition = f"ConditionPathExists=!{DONE}\n" if once else ""
    unit = f"/etc/systemd/system/forgelet-{name}.service"
    tree.write(unit, UNIT.format(what=what, condition=condition, runner=f"{SCRIPTS}/run-{name}"))
    tree.link(f"/etc/systemd/system/multi-user.target.wants/forgelet-{name}.service", unit)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

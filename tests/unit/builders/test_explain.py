"""The closed list: every rule says what it means, and nothing that a person cares for is ever explained by it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import builders.explain
from builders.explain import CHANGED, ONLY_COPY, ONLY_SOURCE, Explainer, base_wins, canonical, listed_by, rules
from scanner.compare import FIELDS

KINDS = (ONLY_COPY, ONLY_SOURCE, CHANGED)
WRITTEN = tomllib.loads((Path(builders.explain.__file__).parent / "rules.toml").read_text())["rule"]
PATTERNS = sorted({pattern for rule in WRITTEN for pattern in rule.get("paths", ())})
HEART = [
    "/",
    "/.env",
    "/.profile",
    "/boot",
    "/boot/grub/custom.cfg",
    "/boot/grub/themes/own/theme.txt",
    "/boot/memtest.bin",
    "/bootstrap.sh",
    "/etc",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/cloud/cloud.cfg",
    "/etc/cron.d/app",
    "/etc/crontab",
    "/etc/crypttab",
    "/etc/default/grub.d/50-own.cfg",
    "/etc/default/ssh",
    "/etc/environment",
    "/etc/fstab.d/x",
    "/etc/ld.so.conf",
    "/etc/machine-info",
    "/etc/network/interfaces",
    "/etc/nginx/nginx.conf",
    "/etc/nginx/sites-enabled/default",
    "/etc/pam.d/sshd",
    "/etc/passwd.bak",
    "/etc/profile",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/sshd_config",
    "/etc/ssl/certs/own.pem",
    "/etc/ssl/private/web.key",
    "/etc/sudoers",
    "/etc/sudoers.d/app",
    "/etc/systemd/network/10-static.network",
    "/etc/systemd/system/app.service",
    "/etc/systemd/system/multi-user.target.wants/app.service",
    "/home/anna/.bashrc",
    "/home/anna/.ssh/authorized_keys",
    "/opt/app/bin/app",
    "/root/.bashrc",
    "/root/.ssh/id_rsa",
    "/root/notes.log",
    "/root/x",
    "/runner",
    "/srv/x",
    "/srv/www/index.html",
    "/tmpfile",
    "/usr/bin/x",
    "/usr/lib/app/x.so",
    "/usr/lib/modules/6.1.0-9-amd64/kernel/own.ko",
    "/usr/lib/systemd/system/app.service",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/local/bin/x",
    "/usr/local/lib/python3.11/dist-packages/app.py",
    "/usr/sbin/sshd",
    "/usr/share/app/x",
    "/usr/share/keyrings/own.gpg",
    "/var/cache/app/x",
    "/var/lib/app/x",
    "/var/lib/apt/keyrings/x",
    "/var/lib/dpkg/statoverride",
    "/var/lib/dpkg/diversions",
    "/var/lib/mysql/ibdata1",
    "/var/log/app/app.log",
    "/var/log/nginx/access.log",
    "/var/mail/root",
    "/var/spool/cron/crontabs/root",
    "/var/tmp/x",
    "/var/www/html/index.html",
]


def nobody(path: str) -> str | None:
    return None


CLOSED = Explainer(set(), nobody)


@pytest.mark.parametrize("rule", WRITTEN, ids=[rule["name"] for rule in WRITTEN])
def test_every_rule_is_loaded_and_says_something_sensible(rule: dict[str, object]) -> None:
    loaded = rules()[str(rule["name"])]
    assert set(rule) <= {"name", "reason", "paths", "kinds", "fields", "running", "makes", "links", "base_wins", "computed", "source"}
    assert rule.get("source", "container") == "container"
    assert len(loaded.reason) > 20
    assert loaded.kinds <= set(KINDS)
    assert loaded.fields <= set(FIELDS)
    assert loaded.running <= set(FIELDS) - {"uid", "gid", "xattrs"}, "whom a path belongs to, nobody changes in passing"
    assert loaded.makes in ("", "plain", "empty")
    assert not loaded.links or "target" in loaded.running
    assert bool(rule.get("computed")) == (loaded.pattern is None) == (not loaded.kinds)
    assert all(str(pattern).startswith("/") for pattern in rule.get("paths", ()))  # type: ignore[attr-defined]


def test_no_two_rules_have_one_name() -> None:
    assert len(rules()) == len(WRITTEN)


def example(pattern: str, deep: str, name: str) -> str:
    return re.sub(r"\*\*/?|\*", lambda found: {"**/": f"{deep}/", "**": deep, "*": name}[found[0]], pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_matches_what_it_says_and_not_its_neighbours(pattern: str) -> None:
    covering = next(loaded for rule, loaded in zip(WRITTEN, rules().values(), strict=True) if pattern in rule.get("paths", ()))
    alone = builders.explain._rule({"name": "one", "reason": "one", "paths": [pattern]})
    inside = example(pattern, "some/where", "n")
    assert alone.covers(inside)
    assert covering.covers(inside)
    assert alone.covers(example(pattern, "b\udce9d\n", "\udcff"))
    assert not alone.covers("/else" + inside)
    assert not alone.covers(inside[1:])
    if not pattern.endswith("*"):
        assert not alone.covers(inside + "x")
        assert not alone.covers(inside + "/below")
    if "*" in pattern and "**" not in pattern:
        assert not alone.covers(example(pattern, "", "a/b"))
    if pattern.endswith("/**"):
        assert not alone.covers(example(pattern[:-3], "some/where", "n")), "the folder itself is not its contents"
    if pattern.endswith("/**") and not pattern.endswith("*/**"):
        assert not alone.covers(example(pattern[:-3] + "-old/x", "some/where", "n"))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/a/*", ["/a/b", "/a/b.c"], ["/a/b/c", "/a", "/ab"]),
        ("/a/**", ["/a/b", "/a/b/c"], ["/a", "/a/", "/ab/c"]),
        ("/a/**/z", ["/a/z", "/a/b/z", "/a/b/c/z"], ["/a/bz", "/a/z/b", "/z"]),
        ("/a*/x", ["/a/x", "/ab/x"], ["/a/b/x", "/b/x"]),
        ("/a.b", ["/a.b"], ["/aXb"]),
        ("/a(b", ["/a(b"], ["/a", "/ab"]),
    ],
)
def test_one_star_stays_within_a_name_and_two_cross_folders(pattern: str, inside: list[str], outside: list[str]) -> None:
    alone = builders.explain._rule({"name": "one", "reason": "one", "paths": [pattern]})
    assert [path for path in inside + outside if alone.covers(path)] == inside


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", HEART)
def test_what_a_machine_is_about_is_never_explained(path: str, kind: str) -> None:
    assert CLOSED.explain(path, kind, ("mtime",)) is None
    assert CLOSED.explain(path, kind, ("sha256", "size")) is None
    assert not base_wins(path)


@pytest.mark.parametrize("folder", ["", "/etc", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/local", "/var", "/var/lib", "/var/log", "/var/cache", "/var/tmp", "/home", "/root", "/opt", "/srv"])
def test_no_rule_is_as_wide_as_a_folder_of_a_real_system(folder: str) -> None:
    for name in ("zz-own", "zz-own/below", "zz-own/a/b/c", ".zz", "zz.conf", "zz.log"):
        wide = [rule.name for rule in rules().values() if rule.covers(f"{folder}/{name}")]
        assert wide == []


def test_nothing_below_or_beside_what_a_machine_is_about_is_covered() -> None:
    ordinary = [f"{one.rstrip('/')}{name}" for one in HEART if one != "/boot" for name in ("/data.db", "/conf.d/50-own.conf", "/__pycache__/x.pyc", ".old", "~")]
    assert {path: rule.name for path in ordinary for rule in rules().values() if rule.covers(path)} == {}


@pytest.mark.parametrize(
    ("path", "kind", "fields", "rule"),
    [
        ("/boot/vmlinuz-6.1.0-9-amd64", ONLY_COPY, (), "boot"),
        ("/etc/default/grub", ONLY_COPY, (), "boot-settings"),
        ("/etc/default/grub", CHANGED, ("sha256",), None),
        ("/etc/default/grub", ONLY_SOURCE, (), None),
        ("/etc/hostname", CHANGED, ("sha256",), "container-engine"),
        ("/etc/passwd", CHANGED, ("size", "sha256", "mtime"), "merged-accounts"),
        ("/etc/passwd", CHANGED, ("mode",), None),
        ("/etc/shadow", CHANGED, ("sha256", "uid"), None),
        ("/etc/shadow", ONLY_SOURCE, (), None),
        ("/etc/machine-id", CHANGED, ("sha256", "size"), "identity"),
        ("/root/.ssh/authorized_keys", CHANGED, ("mtime",), "injected-keys"),
        ("/root/.ssh/authorized_keys", CHANGED, ("sha256", "mtime"), None),
        ("/root/.ssh/authorized_keys", ONLY_SOURCE, (), None),
        ("/var/log/dpkg.log", CHANGED, ("size", "sha256"), "build-log"),
        ("/var/log/dpkg.log", CHANGED, ("mode",), None),
        ("/var/lib/dpkg/alternatives/vi", CHANGED, ("sha256",), None),
        ("/var/lib/dpkg/alternatives/vi", ONLY_SOURCE, (), None),
        ("/var/backups/dpkg.status.0", ONLY_COPY, (), "maintenance"),
        ("/var/backups/mine.sql", ONLY_SOURCE, (), None),
        ("/etc/ld.so.cache", ONLY_SOURCE, (), None),
        ("/var/lib/dpkg/arch", ONLY_SOURCE, (), None),
        ("/usr/share/mime/packages/own.xml", ONLY_SOURCE, (), None),
        ("/usr/share/mime/packages/own.xml", CHANGED, ("sha256",), None),
        ("/var/cache/fontconfig/x.cache-7", CHANGED, ("sha256",), None),
        ("/var/backups/db/dump.sql", CHANGED, ("sha256",), None),
        ("/var/lib/cloud/scripts/per-boot/x.sh", ONLY_COPY, (), None),
        ("/var/lib/systemd/linger/anna", ONLY_COPY, (), None),
    ],
)
def test_a_rule_explains_its_own_kinds_and_fields_alone(path: str, kind: str, fields: tuple[str, ...], rule: str | None) -> None:
    assert CLOSED.explain(path, kind, fields) == rule


def test_what_an_added_package_owns_is_explained_only_where_the_source_has_nothing() -> None:
    explainer = Explainer({"/usr/bin/cloud-init"}, nobody)
    assert explainer.explain("/usr/bin/cloud-init", ONLY_COPY) == "added-package"
    assert explainer.explain("/usr/bin/cloud-init", CHANGED, ("sha256",)) is None
    assert explainer.explain("/usr/bin/cloud-init", ONLY_SOURCE) is None
    assert explainer.explain("/usr/bin/cloud-init.bak", ONLY_COPY) is None


LINKS = {
    "/usr/bin/awk": "/etc/alternatives/awk",
    "/etc/alternatives/awk": "/usr/bin/mawk",
    "/etc/systemd/system/multi-user.target.wants/agent.service": "/lib/systemd/system/agent.service",
    "/usr/lib/relative": "../share/added/x",
    "/usr/bin/own": "/opt/own/bin",
    "/srv/loop": "/srv/pool",
    "/srv/pool": "/srv/loop",
    "/srv/1": "2",
    "/srv/2": "3",
    "/srv/3": "4",
    "/srv/4": "5",
    "/srv/5": "/usr/bin/mawk",
    "/srv/out": "../../../../usr/bin/mawk",
}
ADDED = {"/usr/bin/mawk", "/usr/lib/systemd/system/agent.service", "/usr/share/added/x"}


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/usr/bin/awk", "added-link"),
        ("/etc/alternatives/awk", "added-link"),
        ("/etc/systemd/system/multi-user.target.wants/agent.service", "added-link"),
        ("/usr/lib/relative", "added-link"),
        ("/srv/out", "added-link"),
        ("/usr/bin/own", None),
        ("/srv/loop", None),
        ("/srv/1", None),
        ("/srv/plain", None),
    ],
)
def test_a_link_is_explained_when_it_leads_to_something_added(path: str, rule: str | None) -> None:
    explainer = Explainer(ADDED, LINKS.get)
    assert explainer.explain(path, ONLY_COPY) == rule
    assert explainer.explain(path, CHANGED, ("target",)) is None
    assert explainer.explain(path, ONLY_SOURCE) is None


def test_the_image_keeps_its_own_kernel_and_identity_and_nothing_of_the_sources() -> None:
    kept = ["/boot/grub/grub.cfg", "/etc/machine-id", "/var/lib/dpkg/status", "/vmlinuz", "/etc/ld.so.cache"]
    assert [path for path in kept if not base_wins(path)] == []
    assert not base_wins("/etc/default/grub")
    assert not base_wins("/etc/passwd")
    assert not base_wins("/etc/fstab")
    assert not base_wins("/etc/hosts")
    own = ["/usr/share/mime/packages/own.xml", "/var/cache/fontconfig/x.cache-7", "/var/cache/man/index.db", "/var/lib/dpkg/arch", "/etc/udev/hwdb.bin"]
    assert [path for path in own if base_wins(path)] == [], "the source's own are brought"


def test_paths_of_packages_are_read_from_dpkgs_lists_with_the_merged_usr(tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "udev.list").write_bytes(b"/.\n/lib\n/lib/udev\n/sbin/udevadm\n/usr/share/b\xe9\n")
    (info / "libc6:amd64.list").write_text("/.\n/lib64/ld.so\n")
    (info / "other.list").write_text("/usr/bin/other\n")
    found = listed_by(tmp_path, ["udev", "libc6", "absent"])
    assert found == {"/.", "/lib", "/usr/lib/udev", "/usr/sbin/udevadm", "/usr/share/b\udce9", "/usr/lib64/ld.so"}


@pytest.mark.parametrize(("path", "real"), [("/bin/sh", "/usr/bin/sh"), ("/bin", "/bin"), ("/binary/x", "/binary/x"), ("/lib64/x", "/usr/lib64/x"), ("/usr/bin/x", "/usr/bin/x"), ("/srv/lib/x", "/srv/lib/x")])
def test_a_path_is_where_a_merged_usr_has_it(path: str, real: str) -> None:
    assert canonical(path) == real

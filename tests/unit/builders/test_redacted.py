"""A build from a redacted scan: it says so, accounts stay locked, and a proof tells a missing secret from damage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builders import lastpass, plan
from builders.capture import pick
from builders.copydisk import Copy, Mounted
from builders.fidelity import compare
from scanner.redact import redacting
from scanner.report import Redacted

from .conftest import Machine, WriteReport, entry

KEY = "/srv/tls/site.key"


def test_what_was_redacted_is_counted_as_not_brought(write_report: WriteReport) -> None:
    report = write_report([entry(KEY, state="unmanaged")], redacted=[Redacted(path=KEY, secret="private key")])
    assert plan._not_brought(report, []) == {"redacted": 1}
    assert plan._not_brought(write_report([entry(KEY, state="unmanaged")]), []) == {}


@pytest.fixture
def source(make_machine: Callable[[str], Machine]) -> Machine:
    machine = make_machine("source")
    machine.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n")
    machine.file("/etc/group", b"root:x:0:\nanna:x:1000:\n")
    machine.file("/etc/shadow", b"root:*:1::::::\nanna:$y$hash:1::::::\n", 0o640)
    machine.file(KEY, b"PRIVATE", 0o600)
    machine.file("/srv/page", b"public")
    return machine


def test_without_their_hashes_accounts_are_there_and_locked(source: Machine, make_machine: Callable[[str], Machine]) -> None:
    report = source.scan(choose=redacting(lambda report: lambda one: pick(one, set())))
    base = make_machine("base")
    for name in ("passwd", "group"):
        base.file(f"/etc/{name}", source.at(f"/etc/{name}").read_bytes())
    base.file("/etc/shadow", b"root:*:1::::::\ndaemon:*:1::::::\n")
    lastpass._merge_accounts(base.root, report, {"passwd": "", "group": "", "shadow": "root:*:1::::::\ndaemon:*:1::::::\n", "gshadow": ""})
    shadow = {line.split(":")[0]: line.split(":")[1] for line in base.at("/etc/shadow").read_text().splitlines()}
    assert shadow == {"root": "!", "anna": "!", "daemon": "*"}


def test_a_missing_secret_is_explained_and_other_damage_is_not(source: Machine, make_machine: Callable[[str], Machine]) -> None:
    copy = make_machine("copy")
    for path in ("/etc/passwd", "/etc/group"):
        copy.file(path, source.at(path).read_bytes())
    copy.file("/etc/shadow", b"root:!:1::::::\nanna:!:1::::::\n", 0o640)
    copy.file("/srv/page", b"damaged")
    ours = source.scan(choose=redacting(lambda report: lambda one: pick(one, set())))
    found = compare(ours, Copy(copy.scan(), Mounted(copy.root), set()))
    rule = {(one.scope, one.item): one.rule for one in found.differences}
    assert rule["files", KEY] == "redacted"
    assert rule["users", "anna"] == "redacted"
    assert rule["files", "/srv/page"] is None


def test_a_supplied_secret_with_another_mode_is_damage(source: Machine, make_machine: Callable[[str], Machine]) -> None:
    copy = make_machine("copy")
    copy.file(KEY, b"SUPPLIED", 0o644)
    copy.file("/etc/shadow", b"")
    ours = source.scan(choose=redacting(lambda report: lambda one: pick(one, set())))
    found = compare(ours, Copy(copy.scan(), Mounted(copy.root), set()))
    assert {one.rule for one in found.differences if one.item == KEY} == {None}

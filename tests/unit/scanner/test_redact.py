"""What a redacted scan leaves at home, and what it tells of it."""

from __future__ import annotations

import os

import pytest

from scanner.overlay import CONTENTS, member_path, open_overlay
from scanner.redact import is_secret, redacting


def everything(_report):
    return lambda entry: "overlay" if entry.state == "unmanaged" else None


def captured(report):
    found = {}
    with open_overlay(report.folder / CONTENTS) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isreg() else None
            found[member_path(member)] = data.read() if data else b""
    return found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/shadow", "password hashes"),
        ("/etc/gshadow-", "password hashes"),
        ("/etc/ssh/ssh_host_ed25519_key", "SSH host key"),
        ("/home/mira/.ssh/id_rsa", "private key"),
        ("/srv/tls/site.key", "private key"),
        ("/etc/nginx/tls/site.pem", "private key"),
        ("/root/.netrc", "token"),
        ("/home/mira/.ssh/id_rsa.pub", None),
        ("/etc/ssh/ssh_host_ed25519_key.pub", None),
        ("/home/mira/.ssh/authorized_keys", None),
        ("/etc/ssl/certs/root.pem", None),
        ("/usr/share/doc/tool/example.key", None),
        ("/etc/passwd", None),
    ],
)
def test_secrets_are_known_by_their_names(path, kind):
    assert is_secret(path) == kind


def test_contents_of_secrets_stay_on_the_machine_and_are_listed(machine):
    machine.file("/etc/shadow", b"root:$6$hash:1:0:::::\n")
    machine.file("/srv/tls/site.key", b"PRIVATE")
    machine.file("/srv/page", b"public")
    report = machine.scan(choose=redacting(everything))
    found = captured(report)
    assert found["/srv/page"] == b"public"
    assert not {"/etc/shadow", "/srv/tls/site.key"} & found.keys()
    assert [(one.path, one.secret) for one in type(report)(report.folder).head.redacted] == [("/etc/shadow", "password hashes"), ("/srv/tls/site.key", "private key")]


def test_a_link_to_a_secret_and_a_copy_of_one_stay_too(machine):
    machine.file("/srv/tls/site.key", b"PRIVATE")
    os.link(machine.at("/srv/tls/site.key"), machine.at("/etc/innocent"))
    machine.file("/srv/backup\udcff", b"PRIVATE")
    report = machine.scan(choose=redacting(everything))
    assert b"PRIVATE" not in captured(report).values()
    assert [one.path for one in report.head.redacted] == ["/etc/innocent", "/srv/backup\\udcff", "/srv/tls/site.key"]


def test_the_report_still_has_their_metadata(machine):
    machine.file("/srv/tls/site.key", b"PRIVATE", 0o600)
    report = machine.scan(choose=redacting(everything))
    entry = next(one for one in report.files() if one.path == "/srv/tls/site.key")
    assert (entry.mode, entry.size) == ("0600", 7)


def test_nothing_is_redacted_unless_asked(machine):
    machine.file("/srv/tls/site.key", b"PRIVATE")
    report = machine.scan(choose=everything)
    assert captured(report)["/srv/tls/site.key"] == b"PRIVATE"
    assert report.head.redacted == []


def test_an_empty_secret_makes_no_secret_of_every_empty_file(machine):
    machine.file("/srv/tls/site.key", b"")
    machine.file("/srv/empty", b"")
    report = machine.scan(choose=redacting(everything))
    assert "/srv/empty" in captured(report)

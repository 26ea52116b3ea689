"""Secrets are marked by their place and by what they begin with; what only looks like one is not."""

from __future__ import annotations

import pytest

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"


def secret(machine, path, data=b"x\n"):
    machine.file(path, data)
    return machine.entries()[path].secret


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/shadow", "password hashes"),
        ("/etc/gshadow-", "password hashes"),
        ("/var/www/site/.htpasswd", "password hashes"),
        ("/etc/ssh/ssh_host_ed25519_key", "SSH host key"),
        ("/etc/ssh/ssh_host_ed25519_key.pub", None),
        ("/home/ann/.aws/credentials", "token"),
        ("/root/.git-credentials", "token"),
        ("/home/ann/.pgpass", "password"),
        ("/etc/NetworkManager/system-connections/home wifi.nmconnection", "password"),
        ("/var/cache/debconf/passwords.dat", "password"),
        ("/etc/passwd", None),
        ("/srv/shadow", None),
    ],
)
def test_places(machine, path, kind):
    assert secret(machine, path) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (KEY, "private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIEpAIBAAKCAQEA7bq2\n", "private key"),
        (b'{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0B"}', "private key"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBGUAAAABEAC7AAAAAAAA\n", "private key"),
        (b"[Interface]\nPrivateKey = " + b"A" * 43 + b"=\n", "private key"),
        (b"user=x\nkey=AKIA" + b"Q" * 16 + b"\n", "token"),
        (b"export T=ghp_" + b"a1" * 18 + b"\n", "token"),
        (b"//registry.example/:_authToken=" + b"0f" * 18 + b"\n", "token"),
        (b'if b"-----BEGIN PRIVATE KEY-----" in data:\n', None),
        (b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n", None),
        (b"//registry.example/:_authToken=${NPM_TOKEN_OF_THE_JOB}\n", None),
        (b"\0" + KEY, None),
    ],
)
def test_contents(machine, data, kind):
    assert secret(machine, "/srv/data", data) == kind


def test_what_everybodys_package_ships_is_no_secret_and_what_was_changed_is(machine):
    machine.package("tool", {"/usr/share/tool/example.key": KEY}, conffiles={"/etc/tool.key": b"empty\n"})
    machine.file("/etc/tool.key", KEY)
    entries = machine.entries()
    assert entries["/usr/share/tool/example.key"].secret is None
    assert (entries["/etc/tool.key"].state, entries["/etc/tool.key"].secret) == ("conffile-changed", "private key")


def test_a_key_in_a_large_file_is_found_at_its_beginning_and_in_every_link_to_it(machine):
    machine.file("/srv/bundle.pem", KEY + b"padding\n" * 100_000)
    machine.at("/srv/twin").hardlink_to(machine.at("/srv/bundle.pem"))
    entries = machine.entries()
    assert (entries["/srv/bundle.pem"].secret, entries["/srv/twin"].secret) == ("private key", "private key")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/usr/lib/python3/dist-packages/x/cloud.py", None), ("/opt/app/node_modules/x/y.js", None), ("/opt/app/settings.py", "token"), ("/usr/local/bin/job", "token")],
)
def test_what_looks_like_a_token_in_other_peoples_code_is_an_example(machine, path, kind):
    assert secret(machine, path, b"key=AKIA" + b"Q" * 16 + b"\n") == kind


def test_a_private_key_is_one_wherever_it_is(machine):
    assert secret(machine, "/usr/lib/node_modules/x/server.key", KEY) == "private key"

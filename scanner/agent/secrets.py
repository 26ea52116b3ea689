"""Which files hold a secret: a closed list of places, and of what contents begin with. Only the kind is told, never the secret."""

import fnmatch
import re
from typing import List, Optional, Tuple

HASHES, HOST_KEY, PRIVATE_KEY, TOKEN, PASSWORD = "password hashes", "SSH host key", "private key", "token", "password"

PLACES: Tuple[Tuple[str, bytes], ...] = (
    (HASHES, b"/etc/shadow"),
    (HASHES, b"/etc/shadow-"),
    (HASHES, b"/etc/gshadow"),
    (HASHES, b"/etc/gshadow-"),
    (HASHES, b"/etc/security/opasswd"),
    (HASHES, b"/var/backups/*shadow*"),
    (HASHES, b"*/.htpasswd"),
    (HOST_KEY, b"/etc/ssh/ssh_host_*_key"),
    (PRIVATE_KEY, b"/etc/krb5.keytab"),
    (PRIVATE_KEY, b"*/.gnupg/private-keys-v1.d/*"),
    (PRIVATE_KEY, b"*/.gnupg/secring.gpg"),
    (TOKEN, b"*/.netrc"),
    (TOKEN, b"*/.git-credentials"),
    (TOKEN, b"*/.aws/credentials"),
    (TOKEN, b"*/.docker/config.json"),
    (TOKEN, b"*/.kube/config"),
    (PASSWORD, b"*/.pgpass"),
    (PASSWORD, b"*/.my.cnf"),
    (PASSWORD, b"/etc/mysql/debian.cnf"),
    (PASSWORD, b"/etc/apt/auth.conf"),
    (PASSWORD, b"/etc/apt/auth.conf.d/*.conf"),
    (PASSWORD, b"/etc/ppp/*-secrets"),
    (PASSWORD, b"/etc/ipsec.secrets"),
    (PASSWORD, b"/etc/NetworkManager/system-connections/*"),
    (PASSWORD, b"/etc/wpa_supplicant/*.conf"),
    (PASSWORD, b"/var/cache/debconf/passwords.dat*"),
)
"""What a secret is called, and the paths that hold one (`*` may stand for folders, too)."""
SUSPECTS: Tuple[Tuple[str, bytes], ...] = (
    (PRIVATE_KEY, b"*/.ssh/id_*"),
    (PRIVATE_KEY, b"/etc/ssl/private/*"),
    (PRIVATE_KEY, b"/etc/pki/tls/private/*"),
    (PRIVATE_KEY, b"*.key"),
    (PRIVATE_KEY, b"*.pem"),
    (PRIVATE_KEY, b"*.p12"),
    (PRIVATE_KEY, b"*.pfx"),
)
"""Paths that often hold one and may as well hold a certificate: a scan marks those whose contents say so, redaction spares all of them."""
PUBLIC = (b"/usr/share/", b"/usr/lib/", b"/etc/ssl/certs/", b"/usr/local/share/ca-certificates/")
"""Certificates and what packages ship: no suspects there."""

Look = Tuple[str, bytes, "re.Pattern[bytes]"]
CONTENTS: Tuple[Look, ...] = tuple(
    (kind, mark, re.compile(pattern))
    for kind, mark, pattern in (
        (PRIVATE_KEY, b"PRIVATE KEY", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|[A-Za-z-]+: [^\n]*\n){1,9}[A-Za-z0-9+/=]{16}"),
        (PRIVATE_KEY, b"PuTTY-User-Key-File-", rb"PuTTY-User-Key-File-\d: "),
        (PRIVATE_KEY, b"AGE-SECRET-KEY-1", rb"AGE-SECRET-KEY-1[0-9A-Z]{40}"),
        (PRIVATE_KEY, b"PrivateKey", rb"(?m)^PrivateKey\s*=\s*[A-Za-z0-9+/]{42,43}=$"),
        (TOKEN, b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b"),
        (TOKEN, b"ghp_", rb"\bghp_[A-Za-z0-9]{36}"),
        (TOKEN, b"gho_", rb"\bgho_[A-Za-z0-9]{36}"),
        (TOKEN, b"ghs_", rb"\bghs_[A-Za-z0-9]{36}"),
        (TOKEN, b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{40}"),
        (TOKEN, b"glpat-", rb"\bglpat-[A-Za-z0-9_-]{20}"),
        (TOKEN, b"xox", rb"\bxox[abeprs]-[0-9]{6}[A-Za-z0-9-]{10}"),
        (TOKEN, b"sk_live_", rb"\bsk_live_[A-Za-z0-9]{16}"),
        (TOKEN, b"AIza", rb"\bAIza[A-Za-z0-9_-]{35}\b"),
        (TOKEN, b"_authToken=", rb"_authToken=[^\s${]{16}"),
        (TOKEN, b"pypi-AgE", rb"\bpypi-AgE[A-Za-z0-9_-]{50}"),
        (TOKEN, b"dckr_pat_", rb"\bdckr_pat_[A-Za-z0-9_-]{20}"),
        (TOKEN, b"hvs.", rb"\bhvs\.[A-Za-z0-9_-]{24}"),
    )
)
"""What a secret is called, bytes that must be there for a closer look to be worth its while, and the closer look."""
PUBLISHED = (b"/site-packages/", b"/dist-packages/", b"/node_modules/", b"/gems/")
_EXACT = {place: kind for kind, place in PLACES if b"*" not in place}
Globs = List[Tuple[str, "re.Pattern[bytes]"]]


def _globs(places: Tuple[Tuple[str, bytes], ...]) -> Globs:
    return [(kind, re.compile(fnmatch.translate(place.decode("ascii")).encode("ascii"))) for kind, place in places if b"*" in place]


_GLOBS, _SUSPECTS = _globs(PLACES), _globs(SUSPECTS)
_ANY_GLOB = re.compile(b"|".join(pattern.pattern for _, pattern in _GLOBS))


def kind_of(path: bytes, head: bytes) -> Optional[str]:
    """What kind of secret a file holds, by its place or by its first bytes; None when it is none that is known."""
    return by_place(path) or _by_contents(head, CONTENTS[:1] if _published(path) else CONTENTS)


def by_place(path: bytes) -> Optional[str]:
    """What kind of secret a file at `path` holds for certain, whatever is in it."""
    return _EXACT.get(path) or (_by_glob(path, _GLOBS) if _ANY_GLOB.match(path) else None)


def suspected(path: bytes) -> Optional[str]:
    """What kind of secret a file at `path` holds, or may hold."""
    return by_place(path) or (None if path.startswith(PUBLIC) else _by_glob(path, _SUSPECTS))


def _published(path: bytes) -> bool:
    """Whether this is where other people's code is put. Of all contents only keys are looked for there: each look costs as much as
    reading the file does, and there are many."""
    return (path.startswith(b"/usr/") and not path.startswith(b"/usr/local/")) or any(part in path for part in PUBLISHED)


def _by_glob(path: bytes, globs: Globs) -> Optional[str]:
    return None if path.endswith(b".pub") else next((kind for kind, pattern in globs if pattern.match(path)), None)


def _by_contents(head: bytes, looks: Tuple[Look, ...]) -> Optional[str]:
    if head.find(b"\0", 0, 1024) >= 0:
        return None
    return next((kind for kind, mark, pattern in looks if mark in head and pattern.search(head)), None)

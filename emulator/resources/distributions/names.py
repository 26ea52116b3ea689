"""UForge's names of distributions and architectures, which are closed lists (PROTOCOL 1.8): the client crashes on any other.

A rebuild of another distribution goes under that one's name, and says so in its version; so does what has no relative at all.
"""

from __future__ import annotations

from typing import Any

PLACEHOLDER = "Debian"
"""Where nothing fits: the client must be given some name of the list."""

_NAMES = {
    "centos": "CentOS",
    "debian": "Debian",
    "fedora": "Fedora Core",
    "fedora core": "Fedora Core",
    "opensuse": "OpenSUSE",
    "oracle": "Oracle Linux",
    "red hat enterprise": "RedHat Enterprise Linux",
    "redhat enterprise linux": "RedHat Enterprise Linux",
    "scientific": "Scientific Linux",
    "suse enterprise server": "SUSE Linux Enterprise Server",
    "sles": "SUSE Linux Enterprise Server",
    "suse linux enterprise server": "SUSE Linux Enterprise Server",
    "ubuntu": "Ubuntu",
    "windows": "Windows",
}
_REBUILDS = {"rocky": "CentOS", "almalinux": "CentOS", "centos stream": "CentOS", "opensuse leap": "OpenSUSE", "opensuse tumbleweed": "OpenSUSE", "raspbian": "Debian"}
"""What is built from another's sources -> that one."""
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "i386": "i386", "i586": "i586", "i686": "i686", "all": "noarch", "noarch": "noarch"}


def _key(name: str) -> str:
    plain = name.lower().replace("gnu/linux", "").strip()
    return plain.removesuffix(" linux").strip()


def uforge_name(name: str) -> tuple[str, str]:
    """UForge's name, and the real one where that says more than the first (else empty)."""
    key = _key(name)
    known = _NAMES.get(name.lower(), _NAMES.get(key))
    if known is not None:
        return known, ""
    return _REBUILDS.get(key, PLACEHOLDER), name if key not in ("", "unknown") else "not known yet"


def tell_distribution(name: str, version: str, arch: str) -> dict[str, Any]:
    """distribution of a scanned instance: always one that the client can read; `realName` and `realArch` are ours."""
    known, real = uforge_name(name)
    machine = _ARCHITECTURES.get(arch, "" if arch else "x86_64")
    notes = [note for note in (real, "" if machine else arch) if note]
    told = " ".join([version, *([f"({', '.join(notes)})"] if notes else [])]).strip()
    return {"name": known, "version": told, "arch": machine or "noarch", "realName": name, "realArch": arch}

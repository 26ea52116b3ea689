"""Where an rpm or apk system's packages come from: yum's and zypper's .repo files, apk's list."""

from typing import Dict, Iterator, List

from scanner.agent import ini
from scanner.agent.tree import Root, printable

FOLDERS = (("yum", b"/etc/yum.repos.d"), ("zypp", b"/etc/zypp/repos.d"))
APK = b"/etc/apk/repositories"
HIDDEN = ("password", "proxy_password")
TRUE = ("1", "yes", "true", "on")


def repositories(root: Root) -> Iterator[Dict[str, object]]:
    """One row a section or line; `components` has the section's name, as yum calls the repository."""
    for manager, folder in FOLDERS:
        for name in root.names(folder):
            if name.endswith(b".repo"):
                path = folder + b"/" + name
                for section, values in ini.sections(root.read(path)):
                    if section != "main":
                        yield _repository(manager, printable(path), section, values)
    for line in printable(root.read(APK)).splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            yield _apk(words)


def _repository(manager: str, file: str, section: str, values: Dict[str, List[str]]) -> Dict[str, object]:
    options = {key.lower(): "***" if key.lower() in HIDDEN else " ".join(value) for key, value in values.items()}
    return {
        "manager": manager,
        "file": file,
        "types": [options.pop("type", "rpm-md")],
        "uris": options.pop("baseurl", "").replace(",", " ").split(),
        "suites": [],
        "components": [section],
        "enabled": options.pop("enabled", "1").lower() in TRUE,
        "options": options,
    }


def _apk(words: List[str]) -> Dict[str, object]:
    tag = words[0][1:] if words[0].startswith("@") else ""
    uri = words[1] if tag and len(words) > 1 else words[0]
    return {
        "manager": "apk",
        "file": printable(APK),
        "types": ["apk"],
        "uris": [uri],
        "suites": [],
        "components": [],
        "options": {"tag": tag} if tag else {},
        "enabled": True,
    }

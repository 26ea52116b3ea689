"""Files of sections and keys: yum's, systemd's and NetworkManager's dialects of them, as far as they are alike."""

from typing import Dict, List, Optional, Tuple

from scanner.agent.tree import printable

Section = Tuple[str, Dict[str, List[str]]]


def sections(raw: Optional[bytes]) -> List[Section]:
    """Name, and key -> values in order, of each section. An indented line goes on with the value before it."""
    found: List[Section] = []
    values: List[str] = []
    for line in printable(raw).replace("\\\n", " ").splitlines():
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        if words.startswith("[") and words.endswith("]"):
            found.append((words[1:-1], {}))
        elif line[0] in " \t" and values and "=" not in words:
            values[-1] += " " + words
        elif found and "=" in words:
            key, _, value = words.partition("=")
            values = found[-1][1].setdefault(key.strip(), [])
            values.append(value.strip())
    return found

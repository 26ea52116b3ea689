"""Which paths the walk prunes, and under which rule's name."""

import fnmatch
from typing import Dict, Iterable, List, Optional, Tuple

from scanner.agent.tree import Root

USER = "user"


class Rules:
    """Exact paths, and patterns (`*`, `?`, `[…]`) in the last name of a path."""

    def __init__(self, rules: Iterable[Tuple[bytes, str]]) -> None:
        self._exact: Dict[bytes, str] = {}
        self._patterns: Dict[bytes, List[Tuple[bytes, str]]] = {}
        for path, name in rules:
            self._add(path, name)

    def _add(self, path: bytes, name: str) -> None:
        path = b"/" + path.strip(b"/")
        folder, _, last = path.rpartition(b"/")
        if any(sign in last for sign in (b"*", b"?", b"[")):
            self._patterns.setdefault(folder, []).append((last, name))
        else:
            self._exact.setdefault(path, name)

    def add_users(self, root: Root, paths: Iterable[bytes]) -> None:
        """The user's own: they may lead through symlinks of the tree (`/bin/ls`)."""
        for path in paths:
            self._add(path, USER)
            self._add(root.place(b"/" + path.strip(b"/")), USER)

    def why(self, path: bytes) -> Optional[str]:
        """The name of the rule that prunes `path`; None when it is to be read."""
        name = self._exact.get(path)
        if name is not None or not self._patterns:
            return name
        folder, _, last = path.rpartition(b"/")
        for pattern, name in self._patterns.get(folder, ()):
            if fnmatch.fnmatchcase(last, pattern):
                return name
        return None

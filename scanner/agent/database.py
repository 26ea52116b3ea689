"""What a package manager says is on the machine. One class for each manager is derived from it."""

from typing import Dict, List, Optional, Sequence, Set, Tuple

from scanner.agent.found import Found
from scanner.agent.tree import Root

Finding = Tuple[str, str, Dict[str, str]]
"""State, reason code, and what the package manager expects where the path differs (`report.FileEntry.expected`)."""


class Database:
    """Everything the walk needs to tell who owns a path. All paths are where the walk meets them (see `Root.place`)."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.packages: List[Dict[str, object]] = []
        self.owner: Dict[bytes, str] = {}
        self.shared: Set[bytes] = set()
        """Owned by more than one package: folders, mostly."""
        self.folders: Set[bytes] = set()
        """Paths that some package needs to be a folder (a symlink to one may stand in)."""
        self.blind_spots: List[Tuple[bytes, str]] = []
        self.keys: List[Tuple[str, bytes]] = []
        """Signing keys in the manager's own database: a name and the armoured key."""
        self._children: Dict[bytes, Set[bytes]] = {}
        self._heads: Dict[bytes, bytes] = {b"": b""}

    def expected(self, folder: bytes) -> List[bytes]:
        """Names that packages put into `folder`."""
        return sorted(self._children.get(folder, ()))

    def expects_in(self, path: bytes) -> bool:
        """Whether packages put anything into `path`."""
        return path in self._children

    def digests(self, path: bytes, linked: bool) -> Sequence[str]:
        """Which digests besides SHA-256 the file's verdict needs; with `linked`, any that its other names could need as well."""
        raise NotImplementedError

    def verdict(self, found: Found, owner: str) -> Finding:
        """What is to be said of a path that is there and that `owner` owns."""
        raise NotImplementedError

    def missing_kind(self, path: bytes) -> str:
        """What the package ships there, as far as it can be known."""
        return "directory" if path in self.folders or path in self._children else "file"

    def _claim(self, label: str, path: bytes) -> None:
        if self.owner.setdefault(path, label) != label:
            self.shared.add(path)

    def _expect(self, listed: bytes, path: bytes) -> None:
        """`path` must be there, and so must the folder that it is listed in."""
        if path != b"/":
            self._add_child(path)
            self._needs_folder(listed.rpartition(b"/")[0])

    def _add_child(self, path: bytes) -> None:
        """Folders above it count as well, also where no package lists them: the walk must get there."""
        head, _, last = path.rpartition(b"/")
        names = self._children.get(head or b"/")
        if names is None:
            names = self._children[head or b"/"] = set()
            if head:
                self._add_child(head)
        names.add(last)

    def _needs_folder(self, listed: bytes) -> None:
        """Remember the folder as it is listed: `/bin` stays `/bin` here even where it is a link to usr/bin."""
        if listed not in self._heads:
            self._heads[listed] = self._root.place(listed)
            self.folders.add(self._heads[listed])


class Several(Database):
    """A machine with more than one package manager; of two that own a path, the first decides."""

    def __init__(self, root: Root, parts: Sequence[Database]) -> None:
        super().__init__(root)
        self._parts = parts
        for part in parts:
            self.packages += part.packages
            self.shared |= part.shared | (part.owner.keys() & self.owner.keys())
            self.folders |= part.folders
            self.blind_spots += part.blind_spots
            self.keys += part.keys
            self.owner = {**part.owner, **self.owner}

    def expected(self, folder: bytes) -> List[bytes]:
        return sorted({name for part in self._parts for name in part.expected(folder)})

    def expects_in(self, path: bytes) -> bool:
        return any(part.expects_in(path) for part in self._parts)

    def digests(self, path: bytes, linked: bool) -> Sequence[str]:
        return sorted({name for part in self._parts for name in part.digests(path, linked)})

    def verdict(self, found: Found, owner: str) -> Finding:
        part = self._part(found.path)
        assert part is not None
        return part.verdict(found, owner)

    def missing_kind(self, path: bytes) -> str:
        return (self._part(path) or self._parts[0]).missing_kind(path)

    def _part(self, path: bytes) -> Optional[Database]:
        return next((part for part in self._parts if path in part.owner), None)

"""An rpm header as the database stores it (rpm's `header.c`): what of it is wanted, by tag number.

    u32 il, u32 dl, il index entries of 16 bytes (tag, type, offset, count), dl bytes of data; all big endian.
"""

import struct
from typing import Dict, List

NAME, VERSION, RELEASE, EPOCH, DESCRIPTION, SIZE, GROUP, ARCH = 1000, 1001, 1002, 1003, 1005, 1009, 1016, 1022
FILESIZES, FILESTATES, FILEMODES, FILERDEVS, FILEMTIMES, FILEDIGESTS = 1028, 1029, 1030, 1033, 1034, 1035
FILELINKTOS, FILEFLAGS, FILEUSERNAME, FILEGROUPNAME, SOURCERPM, FILEVERIFYFLAGS = 1036, 1037, 1039, 1040, 1044, 1045
DIRINDEXES, BASENAMES, DIRNAMES = 1116, 1117, 1118
LONGFILESIZES, LONGSIZE, FILECAPS, FILEDIGESTALGO, MODULARITYLABEL = 5008, 5009, 5010, 5011, 5096

TAGS = frozenset(
    (NAME, VERSION, RELEASE, EPOCH, DESCRIPTION, SIZE, GROUP, ARCH, FILESIZES, FILESTATES, FILEMODES, FILERDEVS, FILEMTIMES)
    + (FILEDIGESTS, FILELINKTOS, FILEFLAGS, FILEUSERNAME, FILEGROUPNAME, SOURCERPM, FILEVERIFYFLAGS, DIRINDEXES, BASENAMES)
    + (DIRNAMES, LONGFILESIZES, LONGSIZE, FILECAPS, FILEDIGESTALGO, MODULARITYLABEL)
)
NUMBERS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
STRINGS = (6, 8, 9)
"""STRING, STRING_ARRAY, I18NSTRING."""
ENTRIES_AT_MOST = 1 << 16


class Header:
    """The wanted tags of one package. Raises ValueError for what is no header."""

    def __init__(self, blob: bytes) -> None:
        self._numbers: Dict[int, List[int]] = {}
        self._strings: Dict[int, List[bytes]] = {}
        try:
            self._parse(blob)
        except struct.error as error:
            raise ValueError("a damaged header: %s" % error) from error

    def _parse(self, blob: bytes) -> None:
        entries, length = struct.unpack_from(">II", blob)
        start = 8 + 16 * entries
        if entries > ENTRIES_AT_MOST or len(blob) < start + length:
            raise ValueError("a damaged header: it is cut")
        for at in range(8, start, 16):
            tag, kind, offset, count = struct.unpack_from(">4I", blob, at)
            if tag not in TAGS:
                continue
            if kind in NUMBERS:
                self._numbers[tag] = list(struct.unpack_from(">%d%s" % (count, NUMBERS[kind]), blob, start + offset))
            elif kind in STRINGS:
                self._strings[tag] = _strings(blob, start + offset, start + length, 1 if kind == 6 else count)

    def numbers(self, tag: int) -> List[int]:
        """Empty where the package has no such tag."""
        return self._numbers.get(tag, [])

    def strings(self, tag: int) -> List[bytes]:
        """Empty where the package has no such tag."""
        return self._strings.get(tag, [])

    def string(self, tag: int) -> bytes:
        """The first one; empty where the package has none."""
        return (self.strings(tag) or [b""])[0]


def _strings(blob: bytes, start: int, end: int, count: int) -> List[bytes]:
    found = blob[start:end].split(b"\0", count)[:count]
    if len(found) < count:
        raise ValueError("a damaged header: strings are missing")
    return found

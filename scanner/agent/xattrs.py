"""Extended attributes as the kernel lists them (xattr(7)): ACLs, capabilities, security labels and users' own."""

import errno
import os
from typing import Dict, Union

HIDDEN = "trusted.overlay."
"""overlayfs' own: how layers are stacked, not what is on the machine."""
NONE = frozenset({errno.ENOTSUP, errno.ENODATA})


def read(place: Union[int, bytes]) -> Dict[str, bytes]:
    """Name -> value, sorted by name. A descriptor is asked for what it has open; a path for itself, a link included.

    Raises OSError; a file system without attributes has none.
    """
    follow = isinstance(place, int)
    try:
        names = sorted(os.listxattr(place, follow_symlinks=follow))
        return {name: os.getxattr(place, name, follow_symlinks=follow) for name in names if not name.startswith(HIDDEN)}
    except OSError as error:
        if error.errno in NONE:
            return {}
        raise


def beside(folder: int, name: bytes) -> bytes:
    """A path for what cannot be opened (links, sockets, devices), through a descriptor of its folder."""
    return b"/proc/self/fd/%d/%s" % (folder, name)

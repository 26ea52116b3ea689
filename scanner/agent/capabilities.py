"""File capabilities: as libcap writes them (cap_from_text(3)) and as the kernel stores them (capabilities(7), `vfs_cap_data`)."""

import re
import struct
from typing import Dict, Tuple

NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
    "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio",
    "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config",
    "mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm",
    "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)
"""By number, `include/uapi/linux/capability.h`."""
ALL = (1 << len(NAMES)) - 1

Sets = Tuple[int, int, bool]
"""Permitted, inheritable, and whether they are effective at once."""
NONE: Sets = (0, 0, False)
ACTION = re.compile(r"([=+-])([eip]*)")


def of_text(text: str) -> Sets:
    """Sets of clauses such as `cap_net_raw,cap_chown=ep`; what is not understood is ignored."""
    sets = {"e": 0, "i": 0, "p": 0}
    for clause in text.split():
        names = re.split(r"[=+-]", clause, maxsplit=1)[0]
        mask = _mask(names)
        for sign, flags in ACTION.findall(clause[len(names) :]):
            _act(sets, sign, flags, mask)
    return sets["p"], sets["i"], sets["e"] != 0


def _mask(names: str) -> int:
    if names in ("", "all"):
        return ALL
    known = [name[4:] for name in names.lower().split(",") if name[4:] in NAMES]
    return sum(1 << NAMES.index(name) for name in known)


def _act(sets: Dict[str, int], sign: str, flags: str, mask: int) -> None:
    for flag in sets:
        if sign == "=":
            sets[flag] &= ~mask
        if flag in flags:
            sets[flag] = sets[flag] & ~mask if sign == "-" else sets[flag] | mask


def of_attribute(raw: bytes) -> Sets:
    """Sets of the attribute `security.capability`, revisions 1 to 3."""
    if len(raw) < 12:
        return NONE
    magic, permitted, inheritable = struct.unpack_from("<III", raw)
    if len(raw) >= 20:
        more, also = struct.unpack_from("<II", raw, 12)
        permitted, inheritable = permitted | more << 32, inheritable | also << 32
    return permitted, inheritable, bool(magic & 1)

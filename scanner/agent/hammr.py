"""The agent as hammr starts it: `-u LOGIN -p PASSWORD | -a KEY -s KEY, -U URL`, then `-P` to try, or `-n NAME [-o] [-e PATH]...` to scan.

hammr puts the password on the command line, where every user of the machine can read it. The program therefore starts itself again
at once, with everything in a pipe and nothing in its title. (The login shell that hammr's words pass through is out of its reach.)
With `-P` it reports what it found and whether the service answers, and stays; a scan removes the program's file before it begins.
"""

import fcntl
import json
import os
import sys
import time
from typing import Any, Dict, List

from scanner.agent import posting, stamp, system, uplink
from scanner.agent.tree import Root, printable

VALUES = {"-u": "user", "-p": "password", "-a": "public", "-s": "secret", "-U": "base", "-n": "name"}
PIPE_SIZE = 1031
"""F_SETPIPE_SZ of fcntl(2)."""
LARGEST = 1 << 20
TRIES = (0, 3, 6)
"""Seconds before each try to reach the service."""
Asked = Dict[str, Any]


class Usage(Exception):
    """The command line is wrong."""


def read(words: List[str]) -> Asked:
    """The command line's parts. Raises `Usage`."""
    asked: Asked = {"exclude": [], "overlay": False, "probe": False}
    rest = iter(words)
    for word in rest:
        if word == "-o":
            asked["overlay"] = True
        elif word == "-P":
            asked["probe"] = True
        elif word in VALUES or word == "-e":
            value = next(rest, None)
            if value is None:
                raise Usage("%s needs a value" % word)
            if word == "-e":
                asked["exclude"].append(value)
            else:
                asked[VALUES[word]] = value
        else:
            raise Usage("there is no option '%s'" % word)
    keys = "public" in asked and "secret" in asked
    for name, there in (("-u LOGIN", "user" in asked), ("-p PASSWORD, or -a KEY and -s KEY", "password" in asked or keys), ("-U URL", "base" in asked)):
        if not there:
            raise Usage("%s is missing" % name)
    if not asked["probe"] and not asked.get("name"):
        raise Usage("-n NAME is missing")
    return asked


def main(words: List[str]) -> int:
    """Start again without the words."""
    try:
        told = json.dumps(read(words)).encode("ascii")
    except Usage as error:
        sys.stderr.write("uforge-scan: %s\n" % error)
        return 2
    read_end, write_end = os.pipe()
    if len(told) > 1 << 15:
        fcntl.fcntl(write_end, PIPE_SIZE, LARGEST)
    os.write(write_end, told)
    os.close(write_end)
    os.set_inheritable(read_end, True)
    os.execv(sys.executable, [sys.executable, "-I", "-S", sys.argv[0], "hammr", str(read_end)])
    return 1


def resume(descriptor: int) -> int:
    """What `main` started: the words are in the pipe."""
    with open(descriptor, "rb") as pipe:
        asked: Asked = json.loads(pipe.read().decode("ascii"))
    return probe(asked) if asked["probe"] else run(asked)


def _credential(asked: Asked) -> uplink.Credential:
    return uplink.Credential(asked["user"], asked.get("password"), asked.get("public", ""), asked.get("secret", ""))


def probe(asked: Asked) -> int:
    """Print the report, and whether the service answers and takes the login."""
    found = _system()
    machine = os.uname()
    lines = [
        "uforge-scan v%s (Forgelet)" % stamp.VERSION,
        "Distribution:        %s / %s / %s" % (found["distribution"], found["version"], found["arch"]),
        "Current System Name: %s" % machine.sysname,
        "        Node Name:   %s" % machine.nodename,
        "        Release:     %s" % machine.release,
        "        Version:     %s" % machine.version,
        "        Machine:     %s" % machine.machine,
        "        Domain:      %s" % _domain(),
        "Server URL: %s" % asked["base"],
        "User: %s" % asked["user"],
        "Testing connection to the service...",
    ]
    _say(lines)
    try:
        line = uplink.find(asked["base"])
        path, headers = _credential(asked).sign("agent/login")
        line.ask("GET", path, headers=headers)
    except (uplink.Refused, OSError) as error:
        _say(["%36sFAILED!" % "", str(error)])
        return 1
    _say(["%36sSUCCESS!" % "", "", ""])
    return 0


def _say(lines: List[str]) -> None:
    """As the terminal at the other end can take it."""
    for line in lines:
        sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


def _system() -> Dict[str, object]:
    root = Root(b"/")
    try:
        return system.system(root)
    finally:
        root.close()


def _domain() -> str:
    try:
        with open("/proc/sys/kernel/domainname", "rb") as source:
            return printable(source.read().strip())
    except OSError:
        return "(none)"


def run(asked: Asked) -> int:
    """Scan this machine and send the report home."""
    try:
        os.unlink(sys.argv[0])
    except OSError:
        pass
    try:
        line = _reach(asked["base"])
        return _scan(line, asked)
    except (uplink.Lost, uplink.Refused) as error:
        sys.stderr.write("uforge-scan: %s\n" % error)
        return 1


def _reach(base: str) -> uplink.Uplink:
    """The service; one that restarts just now is waited for. Raises `Lost`."""
    reason = uplink.Lost("the service was not tried")
    for pause in TRIES:
        time.sleep(pause)
        try:
            return uplink.find(base)
        except uplink.Lost as error:
            reason = error
    raise reason


def _scan(line: uplink.Uplink, asked: Asked) -> int:
    told = {"agent": stamp.AGENT, "name": asked["name"], "overlay": asked["overlay"], "exclude": asked["exclude"]}
    told["system"] = {key: str(value) for key, value in _system().items() if key in ("distribution", "version", "arch")}
    told["node"] = os.uname().nodename
    path, headers = _credential(asked).sign("agent/scans")
    try:
        scan = posting.Scan(line, line.tell("POST", path, told, headers))
    except (uplink.Refused, OSError) as error:
        _confess(line, str(error))
        raise uplink.Lost(str(error))
    return 0 if scan.follow() == "done" else 1


def _confess(line: uplink.Uplink, reason: str) -> None:
    """Who waits for this scan is told why there will be none."""
    told = {"agent": stamp.AGENT, "reason": reason, "proof": uplink.prove(stamp.KEY, "agent " + reason)}
    try:
        line.tell("POST", "agent/gone", told)
    except (uplink.Refused, OSError, ValueError):
        pass

"""hammr_parsers.py FILE, run by the client's own Python 2.7: what hammr 3.8.13 takes, as its own parsers have it, as JSON: noun -> verb -> options.

The noun "" is hammr itself: its own options are under the verb "".
"""

import io
import json
import os
import sys

import hammr


def options(parser):
    found = []
    for action in parser._actions:
        names = [name for name in action.option_strings if name not in ("-h", "--help")]
        if names:
            values = "none" if action.nargs == 0 else "many" if action.nargs == "+" else "one"
            found.append({"names": names, "required": bool(action.required), "values": values, "help": str(action.help)})
    return found


def verbs(command):
    return {name[len("arg_"):]: options(getattr(command, name)()) for name in dir(command) if name.startswith("arg_")}


def main():
    # hammr has no part that can be had without running it: `help` makes it build every parser, say so and end.
    folder = os.path.dirname(hammr.__file__)
    script = {"__name__": "hammr.hammr", "__file__": os.path.join(folder, "hammr.py"), "__package__": "hammr"}
    file, sys.argv = sys.argv[1], ["hammr", "help"]
    try:
        execfile(script["__file__"], script)  # noqa: F821
    except SystemExit:
        pass
    app = script["app"]
    found = {noun: verbs(command) for noun, command in app.subCmds.items()}
    found[""] = dict(verbs(app), **{"": options(script["mainParser"])})
    with io.open(file, "wb") as out:
        json.dump(found, out, indent=1, sort_keys=True, separators=(",", ": "))
        out.write(b"\n")


main()

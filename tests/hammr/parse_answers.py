"""Run by the client's own Python 2.7: parses every XML answer of a journal with the client's own bindings (uforge_python_sdk).

Arguments: the journal's files. Prints a JSON object: how many answers there are (of equal ones one), how many of them were parsed, by root
element, and every one that was refused.
"""

import io
import json
import sys

from uforge.objects import uforge


def main():
    roots, refused, seen = {}, [], set()
    for name in sys.argv[1:]:
        with io.open(name, encoding="utf-8") as lines:
            for line in lines:
                told = json.loads(line)
                body = told.get("body")
                if not body or body in seen:
                    continue
                seen.add(body)
                try:
                    parsed = uforge.CreateFromDocument(body.encode("utf-8"))
                    root = parsed._element().name().localName()
                    roots[root] = roots.get(root, 0) + 1
                except Exception as error:
                    refused.append([told["method"], told["path"], "%s: %s" % (type(error).__name__, error), body[:2000]])
    json.dump({"answers": len(seen), "roots": roots, "refused": refused}, sys.stdout)


main()

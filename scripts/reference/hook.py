"""MkDocs' hook: adds the generated pages, the report's JSON Schema, the lessons' guides and the changelog to the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

def on_files(files: Any, config: Any) -> Any:
    """Called by MkDocs when it has collected the files of `docs/`."""
    # Here and not above: MkDocs gives the search path back when it has loaded its hooks.
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    from mkdocs.structure.files import File

    from emulator.lab.lessons.lesson import lessons
    from reference import pages, report

    made = {**pages(), "reference/scan-report.schema.json": report.schema_text(), "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    made.update({f"lessons/{name}.md": one.guide for name, one in lessons().items()})
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files

"""Writes the catalogue pages: `python -m goalmaze.experiments.catalogue.pages docs/`."""

from __future__ import annotations

import sys
from pathlib import Path

from goalmaze.experiments.catalogue.pages.write import write_pages

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m goalmaze.experiments.catalogue.pages DOCS_FOLDER")
    for path in write_pages(Path(sys.argv[1])):
        print(f"wrote {path}")

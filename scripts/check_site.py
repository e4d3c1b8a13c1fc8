"""Checks a built site: every link and anchor leads somewhere, and no page loads anything from the network.

`python scripts/check_site.py FOLDER` prints one line a fault and exits with 1 if there is any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {("a", "href"), ("area", "href")}
LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("video", "src"), ("source", "src")}
"""Attributes whose target is loaded with the page, not followed by the reader."""


class Page(HTMLParser):
    """What a page offers as anchors, and what it refers to.

    Attributes:
        anchors: names that a link may have after the hash.
        links: what the reader can follow.
        loaded: what the browser fetches.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the anchors and references of one element."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) in LINKS:
                self.links.append(value)
            elif (tag, name) in LOADED:
                self.loaded.append(value)


def faults(site: Path) -> Iterator[str]:
    """Yield one line for every fault of a site."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no pages"
    for path, page in pages.items():
        name = path.relative_to(site)
        for link in page.loaded:
            # "//host/file" has no scheme and is still fetched from a host.
            if urlsplit(link).scheme not in {"", "data"} or link.startswith("//"):
                yield f"{name}: loads {link} from the network"
        for link in (*page.links, *page.loaded):
            fault = dead_end(path, link, pages)
            if fault:
                yield f"{name}: {fault}"


def dead_end(path: Path, link: str, pages: Mapping[Path, Page]) -> str:
    """Return what is wrong with a link on the page at `path`; nothing where it leads somewhere, or out of the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    if not target.is_file():
        return f"{link} leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"{link} leads to no anchor of its page"
    return ""


def main(arguments: list[str]) -> int:
    """Check the site in a folder and return the exit code."""
    problems = list(faults(Path(arguments[0]).resolve()))
    print(
        "\n".join(problems) if problems else "every link and anchor leads somewhere; nothing is loaded from the network"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

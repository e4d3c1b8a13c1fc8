"""An HTML parser that reports every fault of a page, and everything that a browser would fetch for it."""

import html.parser
import re

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
FETCHING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background", "formaction", "ping"}


class Page(html.parser.HTMLParser):
    """A strict parser of one page.

    Attributes:
        wrong: faults of nesting, and attributes that are given twice.
        fetched: what a browser would load or run: addresses, scripts, event handlers.
        tags: the names of all elements, in order.
        ids: the `id` of all elements, in order.
        links: the ids that links within the page lead to.
        followed: the addresses that links out of the page lead to.
        cells: value of each table cell with data, by agent, condition and measure.
        commands: the commands that the page shows.
        words: the text.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.followed: list[str] = []
        self.cells: dict[tuple[str, str, str], str] = {}
        self.commands: list[str] = []
        self.words = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is never closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if len(found) != len(attributes):
            self.wrong.append(f"<{tag}> says something twice")
        if "id" in found:
            self.ids.append(found["id"])
        for name, value in found.items():
            if tag == "a" and name == "href" and not value.startswith("#"):
                self.followed.append(value)
            elif name in FETCHING:
                self._fetch(value)
            if name == "style":
                self._style(value)
            if name.startswith("on"):
                self.fetched.append(f"{tag} {name}")
        if tag in ("script", "link", "iframe", "object", "embed", "base"):
            self.fetched.append(tag)
        if tag not in VOID:
            self._open.append((tag, found))
        if tag == "data":
            key = self._cell()
            if key is not None:
                self.cells.setdefault(key, found["value"])

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.wrong.append(f"</{tag}> does not close {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._open and self._open[-1][0] == "style":
            self._style(data)
        if len(self._open) > 1 and self._open[-2][1].get("class") == "command":
            self.commands.append(data)

    def _fetch(self, value: str) -> None:
        if value.startswith("#"):
            self.links.append(value[1:])
        elif not value.startswith("data:"):
            self.fetched.append(value)

    def _style(self, text: str) -> None:
        self.fetched += re.findall(r"@import[^;]*", text)
        for place in re.findall(r"url\(([^)]*)\)", text):
            self._fetch(place.strip("\"' "))

    def _cell(self) -> tuple[str, str, str] | None:
        """Return agent, condition and measure of the table cell that is open."""
        attributes: dict[str, str] = {}
        for _, found in self._open:
            attributes |= {k.removeprefix("data-"): v for k, v in found.items() if k.startswith("data-")}
        if "condition" in attributes and "measure" in attributes:
            return attributes["agent"], attributes["condition"], attributes["measure"]
        return (attributes["agent"], attributes["goal-model"], "log-loss") if "goal-model" in attributes else None

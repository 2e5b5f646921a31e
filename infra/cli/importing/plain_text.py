"""HTML reduced to the text a reader sees, with the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

# What begins a line of its own when a browser shows it.
_BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "tr",
        "ul",
    }
)
_HIDDEN = frozenset({"head", "noscript", "script", "style", "template", "title"})

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n(?:[^\S\n]*\n)+ ?")


def plain_text(html: str) -> str:
    """Reduce HTML to text: blocks become lines, list items dashes, scripts and styles nothing."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = _SPACES.sub(" ", "".join(reader.parts))
    lines = [line.strip() for line in _BLANK_LINES.sub("\n\n", text).splitlines()]
    shown = "\n".join(lines).strip()
    return "".join(c for c in shown if c == "\n" or c.isprintable())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden_in: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _HIDDEN:
            self._hidden_in.append(tag)
        if tag in _BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden_in and self._hidden_in[-1] == tag:
            self._hidden_in.pop()
        if tag in _BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden_in:
            # A line break in the source is a space on the screen.
            self.parts.append(data.replace("\n", " ").replace("\r", " "))

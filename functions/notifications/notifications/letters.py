"""A letter to a customer, written once and rendered as text and as HTML.

The parts hold words only. Each is made one line on its way in and escaped on its way into HTML,
so that a name or a title, which people outside chose, is never more than a name or a title.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# No name or title is as long as this: the mail goes on without the rest.
TEXT_LENGTH_MAX = 300

# Control characters, and the marks that turn the direction of all text behind them round
# (Unicode, annex 9).
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")

_SHOP = "Tradepost"

# Mail clients drop style sheets, so each element carries its own. Contrast is above 7:1.
_BODY = (
    "margin:0;padding:24px 12px;background-color:#f3f1ec;color:#1f2328;"
    "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
    "font-size:16px;line-height:1.5"
)
_SHEET = (
    "max-width:544px;margin:0 auto;padding:28px 24px;background-color:#ffffff;border-radius:8px"
)
_SIGN = "margin:0 0 20px;font-weight:bold;color:#0b5345"
_HEADING = "margin:0 0 16px;font-size:24px;line-height:1.25"
_SUBHEADING = "margin:24px 0 8px;font-size:18px;line-height:1.3"
_PARAGRAPH = "margin:0 0 12px"
_LIST = "margin:16px 0;padding:0;list-style:none;border-top:1px solid #c9c5bb"
_ROW = "margin:0;padding:10px 0;border-bottom:1px solid #c9c5bb"
_DETAIL = "color:#4a4f55"
_FOOT = "margin:28px 0 0;padding:16px 0 0;border-top:1px solid #c9c5bb;color:#4a4f55;font-size:14px"


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mailer sends: one subject, and the same words in two forms."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list: what it is about, and what is said of it."""

    name: str
    said: str


@dataclass(frozen=True, slots=True)
class Letter:
    """The words of one mail, in the order in which they are read."""

    subject: str
    heading: str
    greeting: str
    paragraphs: tuple[str, ...]
    rows: tuple[Row, ...]
    next_steps: tuple[str, ...]
    foot: str

    def mail(self) -> Mail:
        """Render both forms."""
        return Mail(one_line(self.subject), self._text(), self._html())

    def _text(self) -> str:
        parts = [one_line(text) for text in (self.greeting, *self.paragraphs)]
        if self.rows:
            rows = [f"* {one_line(row.name)}: {one_line(row.said)}" for row in self.rows]
            parts.append("\n".join(rows))
        if self.next_steps:
            parts.append("What happens next:")
            parts += [one_line(text) for text in self.next_steps]
        parts.append(f"{_SHOP}\n{one_line(self.foot)}")
        return "\n\n".join(parts) + "\n"

    def _html(self) -> str:
        inside = [
            f'<p style="{_SIGN}">{_SHOP}</p>',
            f'<h1 style="{_HEADING}">{_escaped(self.heading)}</h1>',
            *(_paragraph(text) for text in (self.greeting, *self.paragraphs)),
        ]
        if self.rows:
            rows = "".join(
                f'<li style="{_ROW}"><strong>{_escaped(row.name)}</strong><br>'
                f'<span style="{_DETAIL}">{_escaped(row.said)}</span></li>'
                for row in self.rows
            )
            inside.append(f'<ul style="{_LIST}">{rows}</ul>')
        if self.next_steps:
            inside.append(f'<h2 style="{_SUBHEADING}">What happens next</h2>')
            inside += [_paragraph(text) for text in self.next_steps]
        inside.append(f'<p style="{_FOOT}">{_escaped(self.foot)}</p>')
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_escaped(self.subject)}</title></head>"
            f'<body style="{_BODY}"><main style="{_SHEET}">{"".join(inside)}</main></body></html>'
        )


def one_line(text: str) -> str:
    """Make a text one line of bounded length that reads in its own direction."""
    line = " ".join(_UNREADABLE.sub("", text).split())
    return line if len(line) <= TEXT_LENGTH_MAX else f"{line[: TEXT_LENGTH_MAX - 1]}…"


def _paragraph(text: str) -> str:
    return f'<p style="{_PARAGRAPH}">{_escaped(text)}</p>'


def _escaped(text: str) -> str:
    return html.escape(one_line(text))

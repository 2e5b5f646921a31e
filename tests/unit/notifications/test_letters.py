"""Letters: the same words twice, readable by everybody, and nobody's markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from notifications.letters import TEXT_LENGTH_MAX, Letter, Row, one_line

# What a name or a title may be, whoever typed it.
HOSTILE = "<script>alert('x')</script> & \"quotes\"\r\nBcc: all@example.com\u202e\x1b[31m"


class Reader(HTMLParser):
    """Reads a page as a person hears it: the words, and how the headings are nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.language: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "html":
            self.language = dict(attrs).get("lang")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def a_letter(words: str = "some words") -> Letter:
    return Letter(
        subject=f"Subject {words}",
        heading=f"Heading {words}",
        greeting=f"Hello {words},",
        paragraphs=(f"paragraph {words}",),
        rows=(Row(f"row {words}", f"said {words}"),),
        next_steps=(f"step {words}",),
        foot=f"foot {words}",
    )


def test_both_forms_say_the_same() -> None:
    mail = a_letter().mail()

    heard = " ".join(Reader(mail.html).words)
    for part in ("Hello", "paragraph", "row", "said", "step", "foot"):
        assert f"{part} some words" in mail.text
        assert f"{part} some words" in heard


def test_what_others_typed_stays_words() -> None:
    mail = a_letter(HOSTILE).mail()

    page = Reader(mail.html)
    assert "script" not in page.tags
    assert not re.search(r"<script|\x1b|\u202e", mail.html)
    assert "\x1b" not in mail.text
    assert "&lt;script&gt;" in mail.html


def test_what_others_typed_never_begins_a_line_or_a_header() -> None:
    mail = a_letter(HOSTILE).mail()

    assert "\n" not in mail.subject
    assert "\r" not in mail.subject + mail.text
    assert not [line for line in mail.text.splitlines() if line.startswith("Bcc:")]


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\x0b", "\x85", "\u2028", "\u2029", "\t"])
def test_every_kind_of_line_break_becomes_a_space(separator: str) -> None:
    assert one_line(f"Ada{separator}Lovelace") == "Ada Lovelace"


def test_names_of_every_script_are_left_as_they_are() -> None:
    for name in ("Zoë Ångström", "محمد", "李小龍", "Mária Ó'Brien", "می‌خواهم"):
        assert one_line(name) == name


def test_a_text_without_end_is_cut() -> None:
    assert len(one_line("x" * 100_000)) == TEXT_LENGTH_MAX


def test_a_screen_reader_finds_language_title_and_headings_and_no_layout_tables() -> None:
    page = Reader(a_letter().mail().html)

    assert page.language == "en"
    assert page.tags.count("title") == page.tags.count("h1") == page.tags.count("main") == 1
    assert {"ul", "li", "h2"} <= set(page.tags)
    assert "table" not in page.tags
    assert "img" not in page.tags


def test_dark_words_stand_on_light_ground() -> None:
    page = a_letter().mail().html
    grounds = re.findall(r"background-color:(#\w{6})", page)
    words = re.findall(r"(?<!-)color:(#\w{6})", page)

    assert min(contrast(word, ground) for word in words for ground in grounds) >= 7


def contrast(one: str, other: str) -> float:
    """WCAG 2, success criterion 1.4.6: above 7 is the enhanced contrast."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)

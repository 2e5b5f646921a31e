# ruff: noqa: RUF001 - letters that look alike are what these tests are about
"""From what people type to what they find."""

from __future__ import annotations

import pytest

from catalog.words import WORD_LENGTH_MAX, Wanted, first_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Café CRÈME", ["cafe", "creme"]),
        ("Men's T-shirt, men’s", ["mens", "t", "shirt"]),
        ("Straße ﬁx ＡＢＣ", ["strasse", "fix", "abc"]),
        ("snake_case 100% 1,5", ["snake", "case", "100", "1", "5"]),
        ("Ёлка İstanbul", ["елка", "istanbul"]),
        ("... ", []),
        ("x" * 99, ["x" * WORD_LENGTH_MAX]),
    ],
)
def test_case_accents_and_punctuation_do_not_matter(text, words):
    assert words_of(text) == words


def test_the_weightier_texts_come_first_and_the_rest_is_left_out():
    assert first_words(["red mug", "mug of clay", "and more"], 4) == ["red", "mug", "of", "clay"]


@pytest.mark.parametrize(
    ("wanted", "forms", "others"),
    [
        ("mugs", ["mug", "mugs"], ["muggle", "mugger"]),
        ("berries", ["berry"], ["bermuda"]),
        ("party", ["parties"], ["partisan"]),
        ("boxes", ["box"], ["boxer"]),
        ("as", ["as"], ["a", "asset"]),
    ],
)
def test_forms_share_a_stem_and_not_only_a_beginning(wanted, forms, others):
    word = Wanted.of(wanted)

    assert [other for other in [*forms, *others] if word.is_form_of(other)] == forms


def test_every_word_begins_with_the_root_it_is_looked_up_by():
    for word in ["skies", "dying", "hoping", "mice", "glasses", "of", "x", "елки"]:
        assert word.startswith(Wanted.of(word).root)

from __future__ import annotations

import unicodedata

import pytest

from users.password_policy import (
    PASSWORD_BYTES_MAX,
    PasswordRefusedError,
    acceptable_password,
    normalised_password,
)

EMAIL = "mia.holmgren@example.com"


def refused_by(password: str) -> str:
    with pytest.raises(PasswordRefusedError) as refusal:
        acceptable_password(password, email=EMAIL)
    return refusal.value.rule


@pytest.mark.parametrize(
    "password",
    [
        "only lower case",
        "482915730264815",
        "ÆØÅ ÆØÅ ÆØÅ ÆØÅ",
        "合言葉は誰にも教えてはいけません",
        "  spaces around  ",
        "x" * 7 + "correct horse",
        "l" + "o" * 62 + "ng",
        "z" + "a" * (PASSWORD_BYTES_MAX - 1),
    ],
)
def test_long_passwords_need_no_particular_characters(password):
    assert acceptable_password(password, email=EMAIL) == normalised_password(password)


def test_fourteen_characters_are_too_few_and_fifteen_enough():
    assert refused_by("fourteen chars") == "too_short"
    assert acceptable_password("fifteen chars!!", email=EMAIL)


def test_characters_are_counted_and_not_their_bytes():
    assert refused_by("é" * 14) == "too_short"


def test_a_password_beyond_the_limit_is_refused_and_not_cut_off():
    assert refused_by("a" * (PASSWORD_BYTES_MAX + 1)) == "too_long"
    assert refused_by("é" * (PASSWORD_BYTES_MAX // 2 + 1)) == "too_long"


def test_a_password_that_grows_beyond_the_limit_when_normalised_is_refused():
    ligature = "\ufdfa"  # three bytes that NFKC turns into thirty-three

    assert refused_by(ligature * 100) == "too_long"


@pytest.mark.parametrize(
    "password", ["123456789012345", "PasswordPassword", "qwertyuiopasdfghjkl", " aaaaaaaaaaaaaaa "]
)
def test_what_guessers_try_first_is_refused(password):
    assert refused_by(password) == "too_common"


def test_ones_own_address_is_refused():
    assert refused_by("Mia.Holmgren@Example.com") == "is_the_email"


def test_a_character_unicode_has_not_defined_is_refused():
    assert unicodedata.category("\u0378") == "Cn"
    assert refused_by("undefined \u0378 inside") == "unusable_character"


@pytest.mark.parametrize(
    ("one_keyboard", "another"),
    [
        ("cafe\u0301 cre\u0300me brule\u0301e", "caf\u00e9 cr\u00e8me brul\u00e9e"),
        ("\uff21\uff22\uff23 full width letters", "ABC full width letters"),
        ("no-break\u00a0space inside", "no-break space inside"),
    ],
)
def test_one_password_from_two_keyboards_is_one_password(one_keyboard, another):
    assert normalised_password(one_keyboard) == normalised_password(another)


def test_normalising_twice_changes_nothing_more():
    every_block = "".join(chr(point) for point in range(0x20, 0xD800, 7))

    once = normalised_password(every_block)

    assert normalised_password(once) == once

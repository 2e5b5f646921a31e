"""
What a password may be, after NIST SP 800-63B-4, section 3.1.1.2.

Length is what counts. There are no rules about kinds of characters, nothing is cut off, and the
whole of it is hashed.
"""

from __future__ import annotations

import unicodedata

from tradepost.kernel.errors import InvalidError

# "… used as a single-factor authentication mechanism … a minimum of 15 characters". There is no
# second factor yet; with one, eight would do.
PASSWORD_LENGTH_MIN = 15
# At least 64 characters must be allowed. The ceiling only bounds the work of one request.
PASSWORD_BYTES_MAX = 1_024
assert PASSWORD_BYTES_MAX >= 64 * 4, "64 characters of any script fit"

# The blocklist: the long passwords that guessers try first. Digit runs, keyboard rows, doubled
# words, famous phrases. Shorter ones need no entry, length refuses them.
_COMMON = frozenset(
    {
        "000000000000000",
        "0000000000000000",
        "00000000000000000000",
        "012345678901234",
        "0123456789012345",
        "01234567890123456789",
        "0123456789abcdef",
        "111111111111111",
        "1111111111111111",
        "11111111111111111111",
        "123123123123123",
        "123412341234123",
        "1234123412341234",
        "12345678910111213",
        "123456789012345",
        "1234567890123456",
        "12345678901234567890",
        "123456789123456",
        "123456789123456789",
        "1234567890abcdef",
        "1234567890qwerty",
        "1234567890qwertyuiop",
        "1q2w3e4r5t6y7u8i",
        "1q2w3e4r5t6y7u8i9o0p",
        "1qaz2wsx3edc4rfv",
        "1qaz2wsx3edc4rfv5tgb",
        "987654321987654321",
        "aaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaa",
        "abcdefghijklmno",
        "abcdefghijklmnop",
        "abcdefghijklmnopqrstuvwxyz",
        "administrator123",
        "changemechangeme",
        "correct horse battery staple",
        "correcthorsebatterystaple",
        "iloveyouiloveyou",
        "letmeinletmeinletmein",
        "passw0rdpassw0rd",
        "password12345678",
        "password123456789",
        "password1234567890",
        "password123password",
        "passwordpassword",
        "passwordpassword1",
        "passwordpasswordpassword",
        "qazwsxedcrfvtgb",
        "qazwsxedcrfvtgbyhnujm",
        "qwerty1234567890",
        "qwertyqwertyqwerty",
        "qwertyuiop12345",
        "qwertyuiop1234567890",
        "qwertyuiopasdfg",
        "qwertyuiopasdfghjkl",
        "qwertyuiopasdfghjklzxcvbnm",
        "thisismypassword",
        "tradeposttradepost",
        "trustno1trustno1",
        "welcomewelcome123",
        "zaq12wsxcde34rfv",
    }
)
assert all(len(common) >= PASSWORD_LENGTH_MIN for common in _COMMON)


class PasswordRefusedError(InvalidError):
    """`rule` is too_short, too_long, too_common, is_the_email or unusable_character."""

    code = "password_refused"

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule


def normalised_password(text: str) -> str:
    """Write a password so that every keyboard's way of typing it is the same: NFKC.

    NIST asks for NFKC or NFKD (Unicode Standard Annex 15, section 12.1). Spaces are kept.
    """
    return unicodedata.normalize("NFKC", text)


def acceptable_password(text: str, *, email: str) -> str:
    """Check a new password; return it normalised.

    Raises
    ------
    PasswordRefusedError
        Fewer than 15 characters, more than 1,024 bytes, on the list of the most common, the
        address itself, or with a character no version of Unicode has defined yet.
    """
    password = normalised_password(text)
    if max(len(text.encode()), len(password.encode())) > PASSWORD_BYTES_MAX:
        raise PasswordRefusedError("too_long", f"at most {PASSWORD_BYTES_MAX} bytes")
    if len(password) < PASSWORD_LENGTH_MIN:
        raise PasswordRefusedError("too_short", f"at least {PASSWORD_LENGTH_MIN} characters")
    # The stabilised process of Annex 15: a later Unicode might normalise an unassigned character
    # differently, and the person could not log in any more.
    if any(unicodedata.category(character) == "Cn" for character in password):
        raise PasswordRefusedError("unusable_character", "it holds an undefined character")
    if password.strip().lower() in _COMMON:
        raise PasswordRefusedError("too_common", "guessers try this one early; choose another")
    if password.strip().lower() == email:
        raise PasswordRefusedError("is_the_email", "it is your e-mail address; choose another")
    return password

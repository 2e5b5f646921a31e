"""What the code of a letter looks like."""

from __future__ import annotations

import string

import pytest

from users.letters import Code, CodeInvalidError

CODE = Code("usr_" + "0" * 26, "ltr_" + "1" * 26, bytes(range(32)))
OF_BASE64 = string.ascii_letters + string.digits + "-_"


def test_a_code_is_read_as_it_was_written():
    assert Code.parse(f" {CODE}\n") == CODE


@pytest.mark.parametrize("last", [each for each in OF_BASE64 if each != str(CODE)[-1]])
def test_a_code_with_another_last_character_is_refused_or_another_code(last):
    bent = str(CODE)[:-1] + last

    try:
        other = Code.parse(bent)
    except CodeInvalidError:
        return

    assert other.digest != CODE.digest

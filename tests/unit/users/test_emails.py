from __future__ import annotations

import pytest

from users.model import EMAIL_BYTES_MAX, InvalidEmailError, normalised_email


@pytest.mark.parametrize(
    "written",
    ["mia@example.com", "  MIA@Example.COM\n", "Mia@EXAMPLE.com"],
)
def test_one_address_written_differently_is_one_address(written):
    assert normalised_email(written) == "mia@example.com"


def test_an_accent_typed_in_two_ways_is_one_address():
    assert normalised_email("jose\u0301@example.com") == normalised_email("jos\u00e9@example.com")


def test_dots_and_tags_make_different_addresses():
    written = ["m.ia@example.com", "mia@example.com", "mia+shop@example.com"]

    assert len({normalised_email(address) for address in written}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mia",
        "mia@",
        "@example.com",
        "mia@example",
        "mia@example.",
        "mia@.com",
        "mia@@example.com",
        "mia@one@example.com",
        "mia smith@example.com",
        "mia@example.com\r\nBcc: all@example.com",
        "mi\u200ba@example.com",
        "mia\0@example.com",
    ],
)
def test_what_no_mail_can_reach_is_refused(text):
    with pytest.raises(InvalidEmailError):
        normalised_email(text)


def test_an_address_is_as_long_as_mail_allows_and_no_longer():
    domain = "@example.com"
    longest = "m" * (EMAIL_BYTES_MAX - len(domain)) + domain

    assert normalised_email(longest) == longest
    with pytest.raises(InvalidEmailError):
        normalised_email("m" + longest)

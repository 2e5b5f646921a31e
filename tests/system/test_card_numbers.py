"""A card number is refused before anything keeps it: the shop knows the provider's tokens alone."""

from __future__ import annotations

import json

import pytest
from moto.dynamodb.models import dynamodb_backends

from infra.local.stack import ACCOUNT_ID, REGION
from tests.system.shopper import Town

NUMBER = "4242424242424242"


def kept_anywhere(text: str) -> list[str]:
    """Name the tables that hold the text."""
    tables = dynamodb_backends[ACCOUNT_ID][REGION].tables
    return [
        name
        for name, table in tables.items()
        if any(text in json.dumps(item.to_json(), default=str) for item in table.all_items())
    ]


@pytest.mark.parametrize(
    "method",
    [
        NUMBER,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        f"pm_{NUMBER}",
        f"pm_card_{NUMBER}_123",
        "pm_4242_4242_4242_4242",
        "pm_4222222222222",
    ],
)
def test_a_card_number_in_place_of_a_token_is_refused_and_kept_nowhere(
    town: Town, method: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    town.sells("MUG", on_hand=1)
    guest = town.guest()

    refused = guest.checks_out(guest.fills_cart(MUG=1), method=method)

    town.settles()
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["at"] == "/payment_method"
    assert method not in refused.text
    assert kept_anywhere(method) == []
    assert kept_anywhere("MUG") != []
    told = capsys.readouterr()
    assert method not in caplog.text + told.out + told.err
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


def test_a_number_instead_of_a_text_is_refused(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    guest = town.guest()

    refused = guest.checks_out(guest.fills_cart(MUG=1), method=int(NUMBER))  # type: ignore[arg-type]

    assert refused.status_code == 422
    assert NUMBER not in refused.text
    assert kept_anywhere(NUMBER) == []


def test_a_token_with_some_digits_is_taken(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    guest = town.guest()

    accepted = guest.checks_out(guest.fills_cart(MUG=1), method="pm_1MqLiJLkdIwHu7ixUEgbFdYF")

    assert accepted.status_code == 202

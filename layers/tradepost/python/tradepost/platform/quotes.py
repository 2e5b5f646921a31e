"""Shipping quotes as tokens: signed by shipping, carried by the client, believed by carts.

The token holds all that was promised, so that neither side stores it: what a checkout adds to the
total is what was quoted, whatever the tariff says by then.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import jwt

from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import epoch_seconds
from tradepost.kernel.errors import InvalidError
from tradepost.kernel.money import Money
from tradepost.platform import aws

QUOTE_LENGTH_MAX = 1_024

_ALGORITHM = "HS256"
_AUDIENCE = "shipping-quote"
_CLAIMS = ["aud", "exp", "country", "zone", "weight_grams", "service", "amount_minor", "currency"]


class QuoteInvalidError(InvalidError):
    """The shipping quote is none of ours, or was altered."""

    code = "shipping_quote_invalid"

    def __init__(self) -> None:
        super().__init__("the shipping quote is not one that was given out")


def sign_quote(quote: ShippingQuote) -> str:
    """Write a quote as a token that `read_quote` believes."""
    return jwt.encode(
        {
            "aud": _AUDIENCE,
            "exp": epoch_seconds(quote.expires_at),
            "country": quote.country,
            "zone": quote.zone,
            "weight_grams": quote.weight_grams,
            "service": quote.service,
            "amount_minor": quote.price.amount_minor,
            "currency": quote.price.currency,
        },
        _key(),
        algorithm=_ALGORITHM,
    )


def read_quote(token: str) -> ShippingQuote:
    """Read a quote back. Whether it has expired is for the reader to judge.

    Raises
    ------
    QuoteInvalidError
        Forged, altered, or no quote at all.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(),
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            # PyJWT would read the machine's clock; the checkout compares with ours.
            options={"require": _CLAIMS, "verify_exp": False},
        )
    except jwt.InvalidTokenError as error:
        raise QuoteInvalidError from error
    return ShippingQuote(
        country=claims["country"],
        zone=claims["zone"],
        weight_grams=claims["weight_grams"],
        service=claims["service"],
        price=Money(claims["amount_minor"], claims["currency"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _key() -> str:
    return aws.secret(os.environ["QUOTE_SECRET"])["key"]

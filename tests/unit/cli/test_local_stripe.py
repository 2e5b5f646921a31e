"""The local shop takes money of Stripe's test mode only."""

from __future__ import annotations

import pytest

from infra.cli.local_stripe import NoStripeError, parameters


@pytest.mark.parametrize("key", ["", "sk_live_1", "rk_live_1", "pk_test_1", "whsec_1"])
def test_a_key_that_moves_real_money_or_none_at_all_is_refused(monkeypatch, key):
    monkeypatch.setenv("STRIPE_API_KEY", key)

    with pytest.raises(NoStripeError):
        parameters()


def test_the_environment_says_where_stripe_is(monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:8420")

    assert parameters() == {"PaymentProvider": "stripe", "StripeApiBase": "http://127.0.0.1:8420"}


def test_stripe_itself_is_meant_if_nothing_else_is_said(monkeypatch):
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_1")
    monkeypatch.delenv("STRIPE_API_BASE", raising=False)

    assert parameters()["StripeApiBase"] == "https://api.stripe.com"

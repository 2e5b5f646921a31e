"""The local shop paid through Stripe's test mode, or an emulator of it, as the environment says."""

from __future__ import annotations

import json
import os

import boto3

from infra.local.stack import LocalStack

DEFAULT_API_BASE = "https://api.stripe.com"


class NoStripeError(Exception):
    """The environment does not say how to reach Stripe; the message says what is missing."""


def parameters() -> dict[str, str]:
    """Choose Stripe among the templates' parameters.

    Raises
    ------
    NoStripeError
        No STRIPE_API_KEY, or one that moves real money.
    """
    key = os.environ.get("STRIPE_API_KEY", "")
    if not key.startswith(("sk_test_", "rk_test_")):
        raise NoStripeError("--stripe wants a key of Stripe's test mode in STRIPE_API_KEY")
    return {
        "PaymentProvider": "stripe",
        "StripeApiBase": os.environ.get("STRIPE_API_BASE", DEFAULT_API_BASE),
    }


def hand_over_secrets(stack: LocalStack) -> None:
    """Put into the local Secrets Manager what an operator puts into a stage's."""
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(
        SecretId=stack.outputs["StripeSecretName"],
        SecretString=json.dumps({"api_key": os.environ["STRIPE_API_KEY"]}),
    )
    # `stripe listen` prints it; without it every webhook is refused, and payments are read back.
    if "STRIPE_WEBHOOK_SECRET" in os.environ:
        secrets.put_secret_value(
            SecretId=stack.outputs["PaymentWebhookSecret"],
            SecretString=json.dumps({"current": os.environ["STRIPE_WEBHOOK_SECRET"]}),
        )

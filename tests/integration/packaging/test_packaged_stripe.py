"""Stripe from the packaged layer, of which `stripe/params` was left out."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from infra.package.archive import unzip
from tests.integration.packaging.roles import statements
from tests.stripe_emulator.running import API_KEY, running

# Everything that is asked of Stripe, by an interpreter that sees nothing but what was packaged.
_EVERY_OPERATION = """
import sys
from datetime import UTC, datetime, timedelta
sys.path[:0] = sys.argv[3:]
import app
assert "stripe" not in sys.modules, "imported where it was not chosen"
from payments.model import PaymentDeclinedError
from payments.stripe import StripeProvider, client_of
from tradepost.kernel.money import Money

price = Money(2500, "GBP")
client = client_of(sys.argv[1], sys.argv[2])
provider = StripeProvider(client, secrets=lambda: [], return_url="https://shop.example/paid")
paid = provider.open("open#1", order_id="ord_1", amount=price)
provider.authorize("authorize#1", reference=paid, method="pm_card_visa")
provider.capture("capture#1", reference=paid, amount=price)
provider.refund("refund#1", reference=paid, amount=price)
declined = provider.open("open#2", order_id="ord_2", amount=price)
try:
    provider.authorize("authorize#2", reference=declined, method="pm_card_visa_chargeDeclined")
except PaymentDeclinedError:
    provider.void("void#2", reference=declined)
asking = provider.open("open#3", order_id="ord_3", amount=price)
provider.authorize("authorize#3", reference=asking, method="pm_card_threeDSecure2Required")
soon = datetime.now(UTC) + timedelta(minutes=1)
charges, _ = provider.charges_between(soon - timedelta(hours=1), soon, None)
print(*(charge.status for charge in charges))
assert not [name for name in sys.modules if name.startswith("stripe.params")]
"""


@pytest.fixture
def packaged(built, tmp_path):
    task, opt = tmp_path / "task", tmp_path / "opt"
    unzip(built.folder / "payments.zip", task)
    for layer in ("deps", "tradepost"):
        unzip(built.folder / "layers" / f"{layer}.zip", opt)
    return [str(task), str(opt / "python")]


def test_every_operation_does_without_what_the_layer_leaves_out(packaged):
    with running() as emulator:
        program = [sys.executable, "-S", "-I", "-E", "-c", _EVERY_OPERATION]
        finished = subprocess.run(
            [*program, API_KEY, emulator.url, *packaged],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["REQUIRES_ACTION", "VOIDED", "CAPTURED"]


def test_stripe_s_key_is_read_by_payments_alone_and_by_its_name(layout, template):
    readers = {
        context: statement["Resource"]["Fn::Sub"]
        for context in layout.contexts()
        for statement in statements(template(context))
        if statement["Sid"] == "ReadStripeKey"
    }

    assert list(readers) == ["payments"]
    assert readers["payments"].endswith(":secret:${StripeSecretName}-??????")


def test_there_is_a_key_only_where_stripe_is_chosen(template):
    data = template("data")

    assert data["Resources"]["StripeSecret"]["Condition"] == "PaysWithStripe"
    assert data["Parameters"]["PaymentProvider"]["Default"] == "simulator"
    assert json.dumps(template("payments")).count("sk_") == 0

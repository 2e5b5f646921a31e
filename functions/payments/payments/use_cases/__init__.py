"""What is done with money: authorize, capture, reverse, refund, and find out what is true.

Intent comes before effect (rule R9): a charge is opened and its reference written down before
money is asked for, an attempt is numbered before it is made, a refund is promised before it is
sent. So whoever finds a payment after a crash knows what to ask the provider about, and asks
under the same key.
"""

from payments.use_cases.authorizing import authorize_payment, void_payment, void_payments
from payments.use_cases.capturing import capture_part, capture_payment, leave_authorized
from payments.use_cases.comparing import (
    Facts,
    free_stray_charge,
    is_accounted_for,
    payment_facts,
    repair_payments,
)
from payments.use_cases.confirming import complete_confirmation, confirmation_of
from payments.use_cases.refunding import refund_payment, refund_up_to
from payments.use_cases.settling import Heard, hear_provider, settle_payment
from payments.use_cases.supplements import authorize_supplement
from payments.use_cases.watching import settle_refunds, watch_authorizations

__all__ = [
    "Facts",
    "Heard",
    "authorize_payment",
    "authorize_supplement",
    "capture_part",
    "capture_payment",
    "complete_confirmation",
    "confirmation_of",
    "free_stray_charge",
    "hear_provider",
    "is_accounted_for",
    "leave_authorized",
    "payment_facts",
    "refund_payment",
    "refund_up_to",
    "repair_payments",
    "settle_payment",
    "settle_refunds",
    "void_payment",
    "void_payments",
    "watch_authorizations",
]

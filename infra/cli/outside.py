"""Whom the shop reaches outside AWS, and how they misbehave when a plan of faults says so."""

from __future__ import annotations

from typing import Any

from infra.local.faults.switchboard import Outside

_DECLINED_CARD = "pm_card_declined"
_DECLINED_AT_STRIPE = "pm_card_visa_chargeDeclined"


def outside() -> tuple[Outside, ...]:
    """Name the payment provider and the carrier, simulated or not."""
    # The contexts are imported with the functions, and cost time that other commands save.
    from payments.model import ProviderUnavailableError
    from payments.simulator import SimulatedProvider
    from payments.stripe import StripeProvider
    from shipping.model.shipment import CarrierRefusedError, CarrierUnavailableError
    from shipping.simulator import SimulatedCarrier

    def is_refused(_: dict[str, Any]) -> None:
        raise CarrierRefusedError

    return (
        Outside(
            name="provider",
            adapters=(SimulatedProvider, StripeProvider),
            operations=("open", "authorize", "capture", "capture_part", "void", "refund", "charge"),
            unavailable=ProviderUnavailableError,
            declines={"authorize": _with_a_card_that_is_declined},
        ),
        Outside(
            name="carrier",
            adapters=(SimulatedCarrier,),
            operations=("book", "cancel", "label", "scans"),
            unavailable=CarrierUnavailableError,
            declines={"book": is_refused},
        ),
    )


def _with_a_card_that_is_declined(given: dict[str, Any]) -> None:
    """Ask with another card, so that the provider's book says, too, that it was declined."""
    is_stripes = str(given["kwargs"]["reference"]).startswith("pi_")
    given["kwargs"]["method"] = _DECLINED_AT_STRIPE if is_stripes else _DECLINED_CARD

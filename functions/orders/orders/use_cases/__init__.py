"""What happens to an order: placed, captured, confirmed, cancelled, set aside, shipped.

Nobody but the checkout gives anything back: whoever else finds something changed writes it down
in the order, and has the checkout run on.
"""

from orders.use_cases.asking import (
    Asker,
    order_of,
    request_cancellation,
    resume_order,
)
from orders.use_cases.following import (
    SWEPT_MAX,
    confirm_again,
    follow_parcel,
    follow_refunds,
    give_up_parcel,
    sweep,
    take_up,
)
from orders.use_cases.steps import (
    abandon_order,
    await_payment,
    begin_capture,
    cancel_order,
    confirm_order,
    keep_order,
    park_order,
    place_order,
    price_return,
)

__all__ = [
    "SWEPT_MAX",
    "Asker",
    "abandon_order",
    "await_payment",
    "begin_capture",
    "cancel_order",
    "confirm_again",
    "confirm_order",
    "follow_parcel",
    "follow_refunds",
    "give_up_parcel",
    "keep_order",
    "order_of",
    "park_order",
    "place_order",
    "price_return",
    "request_cancellation",
    "resume_order",
    "sweep",
    "take_up",
]

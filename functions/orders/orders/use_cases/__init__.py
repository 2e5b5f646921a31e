"""What happens to an order: placed, captured, confirmed, edited, cancelled, set aside,
shipped.

Nobody but the checkout gives anything back: whoever else finds something changed writes it down
in the order, and has the checkout run on.
"""

from orders.use_cases.asking import (
    Asker,
    order_of,
    request_cancellation,
    resume_order,
)
from orders.use_cases.editing import (
    apply_edit,
    begin_edit,
    close_edit,
    read_edit,
    refuse_edit,
    request_edit,
    undo_edit,
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
from orders.use_cases.forgetting import forget_customer, sweep_erasures
from orders.use_cases.steps import (
    abandon_order,
    await_payment,
    begin_capture,
    cancel_order,
    confirm_order,
    keep_order,
    park_order,
    place_order,
    price_parcel,
    price_return,
)

__all__ = [
    "SWEPT_MAX",
    "Asker",
    "abandon_order",
    "apply_edit",
    "await_payment",
    "begin_capture",
    "begin_edit",
    "cancel_order",
    "close_edit",
    "confirm_again",
    "confirm_order",
    "follow_parcel",
    "follow_refunds",
    "forget_customer",
    "give_up_parcel",
    "keep_order",
    "order_of",
    "park_order",
    "place_order",
    "price_parcel",
    "price_return",
    "read_edit",
    "refuse_edit",
    "request_cancellation",
    "request_edit",
    "resume_order",
    "sweep",
    "sweep_erasures",
    "take_up",
    "undo_edit",
]

"""What orders knows: what was bought, where it stands, what was paid, and how it is edited."""

from orders.model.edit import Edit, EditStatus, edited
from orders.model.editing import (
    EditNotPossibleError,
    EditTotalError,
    NotOnSaleError,
    units_added,
)
from orders.model.line import ORDER_LINES_MAX, NotBoughtError, OrderLine, left_of
from orders.model.order import (
    LEFT_ALONE_MAX,
    PAYMENT_AWAITED_MAX,
    Action,
    Direction,
    Order,
    OrderNotFoundError,
    OrderNotParkedError,
)
from orders.model.paid import Returned, paid_for, paid_for_sending, return_priced
from orders.model.reason import PARCEL_PACKED, Cancelled, edit_reason_of, reason_of
from orders.model.status import BEFORE_THE_PIVOT, OrderStatus, OrderTransitionError

__all__ = [
    "BEFORE_THE_PIVOT",
    "LEFT_ALONE_MAX",
    "ORDER_LINES_MAX",
    "PARCEL_PACKED",
    "PAYMENT_AWAITED_MAX",
    "Action",
    "Cancelled",
    "Direction",
    "Edit",
    "EditNotPossibleError",
    "EditStatus",
    "EditTotalError",
    "NotBoughtError",
    "NotOnSaleError",
    "Order",
    "OrderLine",
    "OrderNotFoundError",
    "OrderNotParkedError",
    "OrderStatus",
    "OrderTransitionError",
    "Returned",
    "edit_reason_of",
    "edited",
    "left_of",
    "paid_for",
    "paid_for_sending",
    "reason_of",
    "return_priced",
    "units_added",
]

"""What people and staff do with carts, one function per verb."""

from carts.use_cases.carts import (
    Destination,
    Owner,
    Shown,
    add_to_cart,
    apply_promotion,
    clear_cart,
    merge_carts,
    remove_promotion,
    replace_lines,
    set_lines,
    view_cart,
)
from carts.use_cases.checkouts import (
    CheckoutRequest,
    check_out,
    checkout_of,
    end_checkout,
    read_checkout,
    set_checkout_aside,
    sweep_checkouts,
)
from carts.use_cases.forgetting import held_of, sweep_erasures
from carts.use_cases.offers import follow_offer, withdraw_offer
from carts.use_cases.pricing import (
    create_promotion,
    end_promotion,
    promotion_of,
    set_tax_table,
    tax_table_of,
)

__all__ = [
    "CheckoutRequest",
    "Destination",
    "Owner",
    "Shown",
    "add_to_cart",
    "apply_promotion",
    "check_out",
    "checkout_of",
    "clear_cart",
    "create_promotion",
    "end_checkout",
    "end_promotion",
    "follow_offer",
    "held_of",
    "merge_carts",
    "promotion_of",
    "read_checkout",
    "remove_promotion",
    "replace_lines",
    "set_checkout_aside",
    "set_lines",
    "set_tax_table",
    "sweep_checkouts",
    "sweep_erasures",
    "tax_table_of",
    "view_cart",
    "withdraw_offer",
]

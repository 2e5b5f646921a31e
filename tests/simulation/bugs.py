"""Mistakes that somebody could make tomorrow. Each has to be found; each real one becomes one."""

from __future__ import annotations

from tests.simulation.planting import Bug

_CHECKOUT = "checkout.asl.json"
_BUYERS = "checking out: checkout and second buyer"
_CANCELS = "checking out: checkout and cancel"

BUGS = (
    Bug(
        "units are held that are not there",
        "inventory.dynamodb.writes",
        'Condition("#available >= :quantity",',
        'Condition("(#available >= :quantity OR attribute_exists(pk))",',
        "sold out",
    ),
    Bug(
        "the last units are sold to two who come at once",
        "inventory.dynamodb.writes",
        'Condition("#available >= :quantity",',
        'Condition("(#available >= :quantity OR attribute_exists(pk))",',
        _BUYERS,
    ),
    Bug(
        "what was sold stays sold when its order is cancelled",
        "inventory.dynamodb.stock",
        'HoldState.COMMITTED: {"available": +1, "held": 0, "waiting": -1}',
        'HoldState.COMMITTED: {"available": 0, "held": 0, "waiting": -1}',
        "cancel",
    ),
    Bug(
        "the last to write an order wins",
        "orders.dynamodb",
        '_IS_PREVIOUS_VERSION = "#version = :previous_version"',
        '_IS_PREVIOUS_VERSION = "(#version = :previous_version OR attribute_exists(pk))"',
        _CANCELS,
    ),
    Bug(
        "an order that is being cancelled can be edited",
        "orders.model.editing",
        "    if order.status is not OrderStatus.CONFIRMED:\n"
        "        raise OrderTransitionError(order.order_id, order.status, OrderStatus.EDITING)\n",
        "",
        "bought: cancel and edit",
    ),
    Bug(
        "a customer's cancelling while money is captured is forgotten",
        "orders.use_cases.steps",
        "        if order.status is OrderStatus.CAPTURING and order.cancel_requested:\n",
        "        if False:\n",
        _CANCELS,
    ),
    Bug(
        "an order is confirmed and nobody is told",
        "orders.use_cases.steps",
        "        return confirmation_of(order) if order.status is OrderStatus.CONFIRMED else None",
        "        return None",
        "checkout",
    ),
    Bug(
        "the sweep of orders starts nothing",
        "orders.use_cases.following",
        "            runner.start_again(order.order_id, order.correlation_id)\n"
        "            orders.postpone(order, now() + LEFT_ALONE_MAX)",
        "            orders.postpone(order, now() + LEFT_ALONE_MAX)",
        "cancel",
    ),
    Bug(
        "a voided payment that was captured is not refunded",
        "payments.use_cases.authorizing",
        "            refund_the_rest(payment, payments, provider, now)\n        return\n",
        "            pass\n        return\n",
        "cancel",
    ),
    Bug(
        "what SNS did not take counts as published",
        "tradepost.platform.outbox",
        '        failed |= {batch[int(entry["Id"])]["sk"] for entry in answer.get("Failed", [])}\n',
        "",
        "checkout",
    ),
    Bug(
        "a message that failed is not left in its queue",
        "tradepost.platform.consumer",
        "    return dict(\n        process_partial_response(",
        "    _ = dict(\n        process_partial_response(",
        "checkout",
    ),
    Bug(
        "a cancelled order keeps its units",
        _CHECKOUT,
        '"Next": "ReleaseStock"',
        '"Next": "CancelOrder"',
        "cancel",
    ),
    Bug(
        "the parcel is booked before it is known whether the payment waits",
        _CHECKOUT,
        '"Next": "IsThePaymentAuthorized"',
        '"Next": "BookShipment"',
        "3-D Secure",
    ),
    Bug(
        "an order is confirmed before its units are sold",
        _CHECKOUT,
        '"Next": "CommitStock"',
        '"Next": "ConfirmOrder"',
        "checkout",
    ),
    Bug(
        "money is captured before the order has passed its pivot",
        _CHECKOUT,
        '"Next": "BeginCapture"',
        '"Next": "CapturePayment"',
        _CANCELS,
    ),
    Bug(
        "a cancelled order keeps its money",
        _CHECKOUT,
        '"Next": "VoidPayment"',
        '"Next": "ReleaseStock"',
        "cancel",
    ),
)

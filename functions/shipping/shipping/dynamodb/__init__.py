"""
The `shipping` table. All of one order lies in one partition.

    pk                   sk             item       attributes
    SHIPMENT#<order>     SHIPMENT       shipment   order_id, customer_id, status, carrier,
                                                   tracking_number, service, label, handed_over_at,
                                                   delivered_at, failure, is_called_off,
                                                   held_back_for, let_go_after,
                                                   is_captured_on_leaving, unpaid_because,
                                                   others: [number, parcel_id, lines, ...],
                                                   correlation_id, version
    SHIPMENT#<order>     SCAN#<...>     scan       event, occurred_at, source, reason
    SHIPMENT#<order>     SCAN-OF-<n>#<...>  scan    the same, of a parcel that was split off
    SHIPMENT#<order>     CLAIM#<id>     claim      see `claims`
    SHIPMENT#<order>     RETURN#<id>    return     see `returns`
    SHIPMENT#<order>     TAKEN#<sku>    counter    taken (units that are in returns)
    SHIPMENT#<order>     OUTBOX#<id>    event      see tradepost.platform.outbox
    TRACKING#<carrier>#<number>  TRACKING  whose parcel it is   order_id, number

    index     keys             serves
    waiting   waiting, since   claims and returns by what they wait for, the oldest first

The receiver's address is handed to the carrier and not kept here: the order has it. Scans are
never changed; their sort key is all that they say, so the same scan is the same item.
"""

from shipping.dynamodb.claims import DynamoDBClaims
from shipping.dynamodb.returns import DynamoDBReturns
from shipping.dynamodb.shipments import DynamoDBShipments
from shipping.dynamodb.words import DynamoDBCustomersWords

__all__ = ["DynamoDBClaims", "DynamoDBCustomersWords", "DynamoDBReturns", "DynamoDBShipments"]

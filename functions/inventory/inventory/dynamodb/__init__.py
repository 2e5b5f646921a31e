"""
The `inventory` table.

    pk              sk              item          attributes
    SKU#<sku>       STOCK#main      the root: the units in the main warehouse's first shard, and
                                    what is said of the whole SKU
                                                  sku, available, held (units); card, waiting,
                                                  standing, tellings, tended
    SKU#<sku>       STOCK#<warehouse>  first shard of another warehouse   sku, available, held
    SHARD#<n>#<sku> STOCK#<warehouse>  shard n of a warehouse             the same
    SKU#<sku>       ENTRY#<id>      ledger entry  kind, movements, code, reason, occurred_at
    SKU#<sku>       OUTBOX#<id>     event         see tradepost.platform.outbox
    HOLD#<order>    CHUNK#<nnnn>    hold          total, state, lines, edit, fills, held_until,
                                                  expiring
    HOLD#<order>    CHUNK#EDIT<nnnn>#<nnnn>  the same, of units that an edit added: its number first
    HOLD#<order>    ENTRY#<nnnn>#<kind>  ledger entry of a chunk, the same attributes; an edit's
                                         kind is TAKEN_BACK#<its number>, FILLED#<n> of units that
                                         came in for who waited. Of added units:
                                         ENTRY#EDIT<nnnn>#<nnnn>#<kind>
    RETURN#<id>     ENTRY#RESTOCKED ledger entry  the same, and order_id, scrapped: [sku, quantity]
    WAITING#<sku>   <since>#<order>#<chunk>  place in the queue  sku, order_id, added_by, number,
                                                  quantity, since
    WAREHOUSES      WAREHOUSE#<code>  warehouse   name, country, priority, is_open

A SKU that nobody said anything about has its root alone, and no card: it is held and sold
without being read. One with a card is not: its writes require the card they were decided on.

A ledger entry is written in the transaction of the change it explains and never changed: for
each bucket, the movements of all entries sum to the level. A hold's entry covers the whole chunk
and lies with the hold, not with the SKU: a second write to a hot SKU's partition would halve how
many orders it can take per second.

The sparse index `expiring` (`expiring`, `held_until`) has the chunks that are HELD, in buckets: one
that is committed or released leaves it.

The RELEASED first chunk of an order that never held is a tombstone: the release came first.
`held_until` is not DynamoDB's time to live: deleting a hold would lose its units.
"""

from inventory.dynamodb.stock import DynamoDBStock
from inventory.dynamodb.warehouses import DynamoDBWarehouses

__all__ = ["DynamoDBStock", "DynamoDBWarehouses"]

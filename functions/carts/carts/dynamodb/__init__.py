"""
The `carts` table.

    pk                sk            item       attributes
    CART#<person>     CART          cart       status, version, order_id, expires_at (epoch
                                               seconds), codes: [code, reduces], lines: [sku, title,
                                               quantity, amount_minor, currency, weight_grams,
                                               tax_class]
    OFFER#<sku>       OFFER         offer      sku, and for each product that ever had it
                                               `by <product_id>`: version, stated_at, on_sale,
                                               title, amount_minor, currency, weight_grams,
                                               tax_class
    CHECKOUT#<order>  CHECKOUT      checkout   order_id, customer_id, email, shipping_address,
                                               payment_method, amount_minor, discount_minor,
                                               tax_minor, currency, prices_include_tax,
                                               shipping_minor, shipping_tax_minor,
                                               shipping_service, promotions, redemptions: [code,
                                               version, person, per_person_max], line_count,
                                               status, reason, fingerprint, correlation_id,
                                               placed_at, running, due_at
    CHECKOUT#<order>  LINES#<nnnn>  chunk      lines: as in the cart, discount_minor, tax_minor
    CART#<person>     CHECKOUT#<order>  reference  order_id: a checkout of theirs
    ERASURE#<user>    ERASURE       erasure    see tradepost.platform.erasures
    PROMOTION#<code>  PROMOTION     promotion  code, its terms, created_at, ended_at, uses, version
    PROMOTION#<code>  PERSON#<...>  counter    uses (of one account, or of a guest's address)
    PROMOTIONS        <code>        entry      code: the register that staff page through
    TAX               COUNTRY#<..>  tax table  country, prices_include_tax, shipping_class,
                                               needs_region, rates: [tax_class, rate_ppm,
                                               valid_from, regions], version
    IDEMPOTENCY#<...> IDEMPOTENCY   record     see tradepost.platform.idempotency

    index      keys              serves
    running    running, due_at   the sweeps: checkouts that are not over, people to be forgotten

A person has one cart, under their own id, so whoever holds the token holds the cart. It is deleted
when it expires, and read as empty from that moment on, however late the deletion is. `running`
names one of a few buckets of the index, and goes with `due_at` when the checkout is over or under
review.

Offers are carts' projection of the catalogue: an offer off sale stays, with its version, so that
older news cannot bring it back. A SKU that one product gave up may be another's, and their
versions say nothing of each other: what each product said last is kept beside the others'.
"""

from carts.dynamodb.carts import DynamoDBCarts
from carts.dynamodb.items import RUNNING
from carts.dynamodb.prices import DynamoDBPriceBook
from carts.dynamodb.promotions import DynamoDBPromotions
from carts.dynamodb.taxes import DynamoDBTaxes

__all__ = ["RUNNING", "DynamoDBCarts", "DynamoDBPriceBook", "DynamoDBPromotions", "DynamoDBTaxes"]

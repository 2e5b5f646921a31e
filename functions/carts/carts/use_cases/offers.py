"""Following what the catalogue says is on sale."""

from __future__ import annotations

from carts.model.cart import Offer, ProductNews
from carts.ports import PriceBook


def follow_offer(offer: Offer, news: ProductNews, *, prices: PriceBook) -> None:
    """Take over an offer that catalog published. Late and repeated news changes nothing."""
    prices.put_offer(offer, news)


def withdraw_offer(sku: str, news: ProductNews, *, prices: PriceBook) -> None:
    """Stop selling what a product took off sale. Late and repeated news changes nothing."""
    prices.withdraw_offer(sku, news)

"""Carts owns what people mean to buy, until a checkout has made an order of it or failed."""

"""Inventory owns the stock: what may be promised, what is held for whom, and why it changed."""

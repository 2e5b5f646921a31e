"""Payments owns the money of an order: authorized, captured, voided, refunded, and the ledger."""

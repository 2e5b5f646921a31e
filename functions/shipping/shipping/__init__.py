"""Shipping owns the parcel of an order: booked with a carrier, handed over, delivered."""

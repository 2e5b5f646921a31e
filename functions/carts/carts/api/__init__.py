"""Carts' bodies and answers."""

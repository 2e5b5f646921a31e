"""The demonstration shop: a small house of things for home, desk and garden, and its pictures."""

"""The rules of carts: what is in one, what it comes to, and what becomes of it."""

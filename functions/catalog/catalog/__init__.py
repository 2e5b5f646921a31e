"""Owns products, their variants, prices and categories, and the index they are found by."""

"""Faults on the running shop: planned, chosen by a seed, brought about at every boundary, told."""

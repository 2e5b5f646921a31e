"""Ops compares what the contexts know of one order, and has them mend what can be mended safely."""

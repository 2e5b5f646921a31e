"""An in-memory model of the AWS calls that Tradepost makes: fast, deterministic, and faultable.

Each module models one service and knows nothing of Tradepost. Nothing here reads the machine's
clock or its chance: the world gives both. `tests/simulation/differential` compares it with other
implementations of the same calls.
"""

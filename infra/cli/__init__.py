"""The command line `tradepost`: people and programs that act on a shop from outside."""

"""Money, ids, time and the kinds of refusal. Standard library only."""

"""Notifications owns what was said to customers: one message per fact, and no address kept."""

"""What is said, and to whom: mails to customers, events to the merchant's systems."""

from notifications.use_cases.telling import tell_customer

__all__ = ["tell_customer"]

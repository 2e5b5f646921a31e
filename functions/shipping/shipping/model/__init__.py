"""What shipping knows: the parcel, what it costs to send, claims about it, and what comes back."""

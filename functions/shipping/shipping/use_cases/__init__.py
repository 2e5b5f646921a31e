"""What is done with parcels, claims and returns: a module per noun."""

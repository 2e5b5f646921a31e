"""Orders owns what a customer bought, and the one state that decides where a checkout goes."""

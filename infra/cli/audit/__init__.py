"""`tradepost audit`: every invariant of money and stock, checked on the tables as they are."""

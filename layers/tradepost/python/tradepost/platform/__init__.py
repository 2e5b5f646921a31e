"""Where Tradepost meets Chalice, Powertools and boto3: routes, steps, consumers, writes."""

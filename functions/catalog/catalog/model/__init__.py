"""What the catalogue knows: products, the categories they are in, and their pictures."""

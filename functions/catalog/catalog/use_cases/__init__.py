"""What is done with products, categories, pictures and the index: a module per verb."""

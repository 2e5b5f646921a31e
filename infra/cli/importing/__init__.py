"""Product files read row by row: what is good in them goes in, what is not is told by its line."""

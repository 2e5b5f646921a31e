"""The published facts: one pydantic model per event, the schemas in `events/` made from them."""

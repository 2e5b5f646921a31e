"""The model of AWS compared, operation by operation, with implementations that others made."""

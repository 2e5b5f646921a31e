"""The dead-letter tool: what consumers gave up is looked at, sent back or thrown away."""

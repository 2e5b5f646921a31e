"""The world in which the unchanged application runs: time, chance, faults, turns and deliveries."""

"""How good a result is: against a truth, without one, and over time."""

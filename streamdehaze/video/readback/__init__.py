"""What a written file says of itself, compared with what its input says: losses are measured, not predicted."""

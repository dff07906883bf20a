"""What a written file says about itself, compared with its input: losses are measured, not predicted."""

"""What becomes of a camera's clear frames: encoders and the targets they feed."""

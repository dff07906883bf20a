"""Where a camera's clear frames go: encoders and the targets they feed."""

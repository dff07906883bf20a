"""Control over time and place: strength that follows keyframes, and where in the frame it applies."""

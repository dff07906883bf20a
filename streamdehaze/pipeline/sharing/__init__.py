"""Long videos on many processes and machines: who makes which segment, Ray clusters, object stores."""

"""Long videos on many processes and machines: which of them makes which segment, Ray clusters, object stores."""

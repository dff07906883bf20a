"""Long work in segments: what is finished survives a crash, and the same command continues after it."""

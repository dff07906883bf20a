"""Commands that change networks and pass them on."""

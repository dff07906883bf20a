"""One file a command; each file has its `command`."""

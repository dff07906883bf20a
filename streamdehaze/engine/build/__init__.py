"""Building engines: requests, compiling, verification, timing, and the cache of what was built."""

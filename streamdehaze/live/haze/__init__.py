"""The haze that a camera sees: its course over a day, and how far it lets one see."""

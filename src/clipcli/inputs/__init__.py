"""From what the user named to single inputs, in a fixed order."""

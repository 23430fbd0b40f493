"""The types of values that nodes exchange."""

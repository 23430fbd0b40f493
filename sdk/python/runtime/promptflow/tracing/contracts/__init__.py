"""What a trace consists of."""

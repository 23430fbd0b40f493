"""What a component exports."""

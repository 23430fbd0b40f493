"""What promptflow-tools imports of the command line."""

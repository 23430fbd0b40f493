"""The helpers of prompt flow that flows and packages of tools import."""

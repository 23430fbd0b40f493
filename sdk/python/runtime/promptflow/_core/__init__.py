"""The parts of prompt flow's core that tools and packages of tools import."""

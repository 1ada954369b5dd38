"""What both frameworks' classes share; it imports neither framework."""

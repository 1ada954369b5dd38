"""One HTTP exchange with one hub."""

"""What scripts/benchmark.py measures, one command a module."""

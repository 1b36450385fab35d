"""Safety mechanisms taken out one at a time, and the tests that must notice: `python -m tests.mutants`."""

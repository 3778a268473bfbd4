"""Made-up input for whatever reads what others wrote; `scripts/fuzz.py` is the command."""

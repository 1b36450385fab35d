"""What a customer's words ask for: a person, something that a machine should not settle, or neither. Pure, total.

`reading.py` reads a text; `patterns.py` is the notation of the lists; a file for each language has what is said in it.
"""

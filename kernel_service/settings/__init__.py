"""The settings by concern: a class for each. The text below a field is its description in the reference."""

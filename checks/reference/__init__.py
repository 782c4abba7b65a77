"""The generated pages of the reference: `python -m checks.reference` writes them, as a part of `make docs`.

Each module makes one page from the code that it describes.
"""

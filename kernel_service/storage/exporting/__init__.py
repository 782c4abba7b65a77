"""The export of a person: every table with rows of theirs, in short pages; damaged values are named and left out."""

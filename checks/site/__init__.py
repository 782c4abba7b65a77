"""Extensions of Sphinx for the documents, named in docs/conf.py."""

"""Files that people send: which can be opened, how they come in, how a turn reads them."""

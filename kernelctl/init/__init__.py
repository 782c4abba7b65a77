"""`kernelctl init`: asks for the settings that have no default, checks each at its vendor, and writes .env."""

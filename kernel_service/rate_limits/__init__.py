"""What all people share, and how nobody takes it from the others."""

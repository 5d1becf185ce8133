"""What we know of Seller Central, and nothing that touches it."""

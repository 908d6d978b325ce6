"""The tar format: headers, blocks, exact ustar bytes."""

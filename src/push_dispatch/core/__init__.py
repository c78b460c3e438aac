"""What does the system decide? Pure values and functions: standard library only, no effects."""

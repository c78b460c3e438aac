"""What does the HTTP API do? `v1` has its operations, `handlers.api` is its function."""

"""What does the HTTP API do? `routes` has its operations, `handlers.api` is its function."""

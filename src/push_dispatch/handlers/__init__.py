"""What does AWS Lambda call? One module per function: event in, use case, response out."""

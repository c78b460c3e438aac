"""What do the platforms on Google Cloud share? Sign-in, REST calls and Cloud Logging."""

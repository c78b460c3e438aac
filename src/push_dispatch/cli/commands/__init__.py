"""Which commands are there? One module for each group; each imports what it needs when it runs."""

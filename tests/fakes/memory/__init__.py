"""What stands in for the table and the queues inside one process? For tests and simulations."""

"""What do people declare? The control plane: pools, queues, deployments and their files."""

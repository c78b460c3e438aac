"""What happens to a run? The data plane: one verb a module, on ports alone."""

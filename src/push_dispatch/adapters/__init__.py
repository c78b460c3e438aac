"""Who keeps the promises of the ports? One module or package for each technology."""

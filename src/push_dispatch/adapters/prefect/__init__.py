"""How is a Prefect server called? Over its REST API, without the `prefect` package."""

"""How does a Prefect server's work pool become one that we serve? See docs/guides/prefect.md.

mirror    the server's pools, queues and templates become ours
runs      which of our runs stands for a flow run
judge     what follows from a flow run's state and ours; pure
tick      once a minute: read ahead, compare, submit, report
claim     before each push: SCHEDULED -> PENDING at the server, so that one wins
settle    when an attempt has started or ended
"""

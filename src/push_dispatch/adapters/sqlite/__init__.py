"""How does everything that a deployment keeps in AWS fit into one file on this machine?

`database` is the file and its transactions, `store` keeps the store's promises in it, `queues` are
the messages, and `feed` is the change feed. A change and what it puts into the feed are one
transaction, so a process may be killed between any two of them.
"""

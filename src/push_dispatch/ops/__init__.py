"""What of a system is there in an AWS account, does it work, and how is it put right?

`system` says what there is, looked up by `account` from the table's name alone: whatever deployed
it, its functions name the table. `checks` judges it, `doctor` goes through all of it, and
`dead_letters` sends dead letters again.
"""

"""A million changes of attributes with a ring of 4096 need bounded memory."""

from leaking import grows

from pydatatracker import TrackedAttr


class Account(TrackedAttr):
    limit = 0


account = Account(tracking_max_changes=4096)


def mutate(n):
    account.balance = str(n)
    account.limit = n
    if n % 5 == 0:
        del account.limit
        account.tags = [n, {"a": n}]


grows(mutate)
account._check()

"""A million changes of a TrackedList with a ring of 4096 leak nothing."""

from leaking import grows

from pydatatracker import TrackedList

items = TrackedList(range(50), tracking_max_changes=4096)


def mutate(n):
    items.append(str(n))
    if n % 3 == 0:
        items[n % 50] = [n]
    if n % 50 == 0:
        items.reverse()
        items.sort(key=str)
    del items[100:]


grows(mutate)
items._check()

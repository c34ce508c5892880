"""collections: a sale subtracts more than the shop has.

A defaultdict, an OrderedDict, a Counter and a deque in one instance.
"""
# run: __main__:shop
# wrong: /stock/cup 2 -> -1

from collections import Counter, OrderedDict, defaultdict, deque


class Shop:
    def __init__(self) -> None:
        self.stock = Counter(tea=5, cup=2)
        self.prices = defaultdict(lambda: 1, tea=4)
        self.recent = OrderedDict()
        self.queue = deque(maxlen=3)

    def sell(self, basket: Counter) -> int:
        self.stock.subtract(basket)  # culprit
        for item in basket:
            self.recent[item] = basket[item]
            self.recent.move_to_end(item, last=False)
            self.queue.append(item)
        return sum(self.prices[item] * count for item, count in basket.items())


shop = Shop()
# edit: from pydatatracker import watch; watch(shop)
print(shop.sell(Counter(tea=2)))
print(shop.sell(Counter(cup=3)))
shop.queue.rotate()
print(shop.stock, dict(shop.prices), shop.recent, shop.queue, shop.prices.default_factory())
if min(shop.stock.values()) < 0:
    raise ValueError(f"sold what was not there: {shop.stock}")

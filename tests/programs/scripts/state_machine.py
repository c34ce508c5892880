"""transitions: a callback that should only notify cancels the order.

The machine stores `state` in the model with `setattr`, several calls below the trigger.
"""
# needs: transitions
# run: __main__:Order
# wrong: /state 'paid' -> 'cancelled'

from transitions import Machine


class Order:
    states = ("new", "paid", "shipped", "cancelled")

    def __init__(self, number: int) -> None:
        self.number = number
        self.log = []
        self.machine = Machine(self, states=list(self.states), initial="new", after_state_change="note")
        self.machine.add_transition("pay", "new", "paid", after="check_stock")
        self.machine.add_transition("ship", "paid", "shipped")
        self.machine.add_transition("cancel", ["new", "paid"], "cancelled")

    def note(self) -> None:
        self.log.append(self.state)

    def check_stock(self) -> None:
        if self.number % 2:
            self.cancel()  # culprit


order = Order(17)
# edit: from pydatatracker import watch; watch(order)
order.pay()
print(order.state, order.log, order.is_cancelled())
order.ship()

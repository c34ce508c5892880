"""simpy: a cleaner empties the tank that cars wait for.

`Container` keeps its level as an attribute; simpy stores it while it serves requests, inside the event loop.
"""
# needs: simpy
# run: __main__:tank
# wrong: /_level 90 -> 5

import simpy


def car(env, name, tank, wanted):
    yield env.timeout(wanted)
    yield tank.get(wanted)
    print(f"{env.now:5.1f} {name} has {wanted}, {tank.level} left")


def truck(env, tank):
    yield env.timeout(25)
    yield tank.put(50)
    print(f"{env.now:5.1f} truck, {tank.level} in the tank")


def cleaner(env, tank):
    yield env.timeout(12)
    yield tank.get(tank.level - 5)  # culprit


env = simpy.Environment()
tank = simpy.Container(env, capacity=100, init=100)
# edit: from pydatatracker import watch; watch(tank)
for n, wanted in enumerate((10, 20, 30, 40), 1):
    env.process(car(env, f"car {n}", tank, wanted))
env.process(cleaner(env, tank))
env.process(truck(env, tank))
env.run(until=60)
print("waiting:", len(tank.get_queue), "level:", tank.level)
raise SystemExit(len(tank.get_queue))

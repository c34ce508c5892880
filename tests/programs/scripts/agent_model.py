"""Mesa: one agent's step takes all that poorer agents have.

Agents are the keys of dicts in the model, and each refers to the model; `AgentSet.set` stores attributes inside Mesa.
"""
# needs: mesa
# run: __main__:Person
# wrong: /Person#3/wealth 6 -> 0

import mesa


class Person(mesa.Agent):
    def __init__(self, model, wealth):
        super().__init__(model)
        self.wealth = wealth
        self.history = []

    def step(self):
        other = self.random.choice(self.model.agents)
        amount = min(self.wealth, 2)
        self.wealth -= amount
        other.wealth += amount
        self.history.append(self.wealth)


class Collector(Person):
    def step(self):
        if self.model.steps == 3:
            poor = self.model.agents.select(lambda agent: agent.wealth <= 10)
            poor.set("wealth", 0)  # culprit


class Town(mesa.Model):
    def __init__(self):
        super().__init__(rng=7)
        Person.create_agents(self, 8, 10)
        Collector(self, 10)

    def step(self):
        self.agents.shuffle_do("step")


# edit: from pydatatracker import watch; watch(Person)
town = Town()
for _ in range(5):
    town.step()
    print(town.steps, town.time, town.agents.get("wealth"), sum(town.agents.get("wealth")))
print([agent.history for agent in town.agents if isinstance(agent, Person)])
if sum(town.agents.get("wealth")) != 90:
    raise SystemExit("money was lost")

"""A game loop: healing one player heals another one as well.

Dataclasses with slots and without, lists, dicts, and one dict that several objects share.
"""
# run: __main__:game
# wrong: /players/0/stats/health 30 -> 100

from dataclasses import dataclass, field


@dataclass
class Player:
    name: str
    stats: dict
    items: list = field(default_factory=list)


@dataclass(slots=True)
class Point:
    x: int = 0
    y: int = 0


@dataclass
class Game:
    players: list
    places: dict
    frame: int = 0
    log: list = field(default_factory=list)


BASE = {"health": 100, "speed": 3}


def heal(player: Player, amount: int) -> None:
    player.stats.update(health=player.stats["health"] + amount)  # culprit


def frame(game: Game) -> None:
    game.frame += 1
    for player in game.players:
        place = game.places[player.name]
        place.x += player.stats["speed"]
        if place.x > 5 and "potion" in player.items:
            player.items.remove("potion")
            heal(player, 70)
            game.log.append((game.frame, player.name))
    if game.frame == 1:
        game.players[0].stats["health"] -= 70


stats = dict(BASE)
game = Game([Player("ann", stats), Player("bob", stats, ["potion", "rope"])], {"ann": Point(), "bob": Point(1, 2)})
# edit: from pydatatracker import watch; watch(game)
for _ in range(4):
    frame(game)
print(game)
print(game.players[0].stats is game.players[1].stats)
if game.players[0].stats["health"] != 30:
    raise SystemExit("ann was healed, and should not be")

"""networkx: a report overwrites the lengths that others route with.

A DiGraph is an instance with dicts of dicts; the attributes of an edge are one dict that `_succ` and `_pred` share.
"""
# needs: networkx
# run: __main__:roads
# wrong: /_adj/depot/market/km 7 -> 1

import networkx as nx

roads = nx.DiGraph(name="roads")
# edit: from pydatatracker import watch; watch(roads)
roads.add_weighted_edges_from(
    [("depot", "market", 7), ("depot", "mill", 2), ("mill", "market", 3), ("market", "port", 4)], weight="km"
)
roads.add_edge("mill", "port", km=9, toll=True)
roads.remove_edge("mill", "port")
print(nx.shortest_path(roads, "depot", "port", weight="km"))


def count_hops(graph: nx.DiGraph) -> int:
    """Count the edges on the way, by giving each the length 1."""
    nx.set_edge_attributes(graph, 1, "km")  # culprit
    return nx.shortest_path_length(graph, "depot", "port", weight="km")


print(count_hops(roads), "hops")
path = nx.shortest_path(roads, "depot", "port", weight="km")
print(path, nx.path_weight(roads, path, "km"))
for a, b, data in roads.edges(data=True):
    print(a, b, data, roads.succ[a][b] is roads.pred[b][a], roads.in_degree(b))
nx.write_graphml(roads, "roads.graphml")
if nx.path_weight(roads, path, "km") < 9:
    raise SystemExit("the port is nearer than it can be")

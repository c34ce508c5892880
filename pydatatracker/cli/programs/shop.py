"""A small shop whose checkout fails, and whose data knows why."""

from typing import Any

from pydatatracker import TrackedDict, tracking_actor


def import_catalogue(shop: Any) -> None:
    """Import the supplier's list."""
    with tracking_actor("importer", source="supplier.csv"):
        shop["products"] = {"tea": {"price": 4.5, "stock": 12}, "cup": {"price": 9.0, "stock": 3}}
        shop["orders"] = []


def start_sale(shop: Any) -> None:
    """Reduce the prices by ten percent."""
    with tracking_actor("pricing", campaign="november"):
        products = shop["products"]
        products["tea"]["price"] = 4.05
        products["cup"]["price"] = f"{9.0 * 0.9:.2f}"  # text, where a number has to be


def check_out(shop: Any, name: str, count: int) -> None:
    """Sell a product."""
    with tracking_actor("checkout", customer=17):
        product = shop["products"][name]
        product["stock"] -= count
        shop["orders"].append({"product": name, "count": count, "total": round(count * product["price"], 2)})


def explain(shop: Any, pointer: str) -> None:
    """Print who wrote a path, when, and from which line."""
    for change in shop.tracking_changes():
        if change.pointer == pointer:
            print(f"{pointer}: {change.before!r} -> {change.after!r}")
            print(f"written by {change.actor!r} {dict(change.context)} at {change.created_time:%H:%M:%S}, here:")
            print(change.stack.format()[-1].rstrip())


def main() -> None:
    """Open the shop."""
    shop: Any = TrackedDict(tracking_name="shop", tracking_auto_convert=True, tracking_capture_stack=True)
    import_catalogue(shop)
    start_sale(shop)
    check_out(shop, "tea", 2)
    try:
        check_out(shop, "cup", 1)
    except TypeError as error:
        print(f"The checkout failed: TypeError: {error}")
        print(f"It multiplied {shop['products']['cup']['price']!r}. Who wrote that price?\n")
        explain(shop, "/products/cup/price")


if __name__ == "__main__":
    main()

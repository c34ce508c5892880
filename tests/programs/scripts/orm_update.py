"""SQLAlchemy: a formatter changes the object that the next commit saves.

The values of an instance are in its `__dict__`; descriptors of the class store them and note what to send.
"""
# needs: sqlalchemy
# run: __main__:User
# wrong: /email 'Ann@Example.org' -> 'ann@example.org'

from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    logins: Mapped[int] = mapped_column(default=0)
    orders: Mapped[list["Order"]] = relationship(back_populates="user", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    item: Mapped[str]
    user: Mapped[User] = relationship(back_populates="orders")


def mailing_label(user: User) -> str:
    """Return an address for sorting, and by mistake store it."""
    user.email = user.email.lower()  # culprit
    return f"<{user.email}>"


engine = create_engine("sqlite:///shop.sqlite")
statements = []
event.listen(engine, "before_cursor_execute", lambda *args: statements.append((args[2].split("\n")[0], args[3])))
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add(User(email="Ann@Example.org", orders=[Order(item="tea"), Order(item="cup")]))
    session.commit()
with Session(engine) as session:
    user = session.scalars(select(User)).one()
    # edit: from pydatatracker import watch; watch(user)
    user.logins += 1
    session.commit()
    print(mailing_label(user))
    user.orders.append(Order(item="pot"))
    del user.orders[0]
    print("dirty:", user in session.dirty)
    session.commit()
    print(user.email, user.logins, [order.item for order in user.orders])
engine.dispose()
for statement in statements:
    print(*statement)

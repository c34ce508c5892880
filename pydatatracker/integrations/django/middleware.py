"""The user of a request is the actor of its changes.

Nothing is asked of the session until the program does it, or a tracked model is saved: reading ``request.user`` costs
queries, and makes Django add ``Vary: Cookie`` to the response.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.utils.functional import SimpleLazyObject

from pydatatracker import _core
from pydatatracker.actors import tracking_actor

__all__ = ["ActorMiddleware", "actor_now"]

_LENGTH = 200  # of a request id, which a client chooses
_current: ContextVar[_Request | None] = ContextVar("pydatatracker_request", default=None)


def actor_now() -> str:
    """Return the actor of a save: of a block, or the user of the request.

    May read the user from the database.
    """
    scope = _core.scope_now()
    if scope is not None and scope.actor:
        return scope.actor
    request = _current.get()
    return "" if request is None else request.resolve()


class _Request:
    """A request that is being answered, and the actor of its changes."""

    def __init__(self, middleware: ActorMiddleware, request: Any) -> None:
        self.middleware = middleware
        self.request = request
        self.block: tracking_actor | None = None
        self.outer = tracking_actor("", **middleware.context_of(request))
        self.scope: Any = None
        self.thread = threading.get_ident()
        self.token: Any = None

    def begin(self) -> None:
        self.outer.__enter__()
        self.scope = _core.scope_now()
        self.token = _current.set(self)
        user = self.request.__dict__.get("user")
        if type(user) is SimpleLazyObject:
            self.request.user = SimpleLazyObject(lambda: self._evaluated(user))
        elif user is not None:
            self.note(user)
        auser = self.request.__dict__.get("auser")
        if auser is not None:
            self.request.auser = self._awaited(auser)

    def end(self) -> None:
        if self.block is not None:
            self.block.__exit__(None, None, None)
        _current.reset(self.token)
        self.outer.__exit__(None, None, None)

    def resolve(self) -> str:
        """Return the actor, and read the user for it if nobody did."""
        user = getattr(self.request, "user", None)
        return "" if user is None else self.note(user)

    def note(self, user: Any) -> str:
        """Make a user the actor from here on, unless a block names another one."""
        name = self.middleware.actor_of(user)
        if self.thread != threading.get_ident():
            return name  # of sync_to_async: a block that begins there could not be ended here
        if name and self.block is None and _core.scope_now() is self.scope:
            self.block = tracking_actor(name)
            self.block.__enter__()
        return name

    def _evaluated(self, user: Any) -> Any:
        found = user.__reduce__()[1][0]  # evaluates it, and has the object itself
        self.note(found)
        return found

    def _awaited(self, auser: Any) -> Any:
        async def note_user() -> Any:
            user = await auser()
            self.note(user)
            return user

        return note_user


class ActorMiddleware:
    """Make the user of a request the actor of its changes.

    Add ``"pydatatracker.integrations.django.ActorMiddleware"`` to ``MIDDLEWARE``, after ``AuthenticationMiddleware``.
    It is for sync and async programs. The actor is the user name from when the program has read ``request.user``, and
    at the latest when a tracked model is saved; before that it is ``""``. An id of the request in its header
    ``X-Request-ID`` is in the context as ``request_id``. A subclass may override the methods and attributes.
    """

    sync_capable = True
    async_capable = True
    request_id_header = "X-Request-ID"
    anonymous = "anonymous"

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def actor_of(self, user: Any) -> str:
        """Return the actor for a user: the user name, or ``"anonymous"``."""
        return str(user.get_username()) if user.is_authenticated else self.anonymous

    def context_of(self, request: Any) -> dict[str, Any]:
        """Return the context of the changes of a request: its id, if it has one."""
        given = request.headers.get(self.request_id_header)
        return {"request_id": given[:_LENGTH]} if given else {}

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._acall(request)
        answered = _Request(self, request)
        answered.begin()
        try:
            return self.get_response(request)
        finally:
            answered.end()

    async def _acall(self, request: Any) -> Any:
        answered = _Request(self, request)
        answered.begin()
        try:
            return await self.get_response(request)
        finally:
            answered.end()

"""The HTTP client that fsspec is given: redirects, addresses, times and sizes are looked at."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mediaref import limits
from mediaref.errors import AccessDeniedError, InvalidReferenceError, LimitExceededError
from mediaref.storage.access import AccessPolicy
from mediaref.storage.remote_file import RangesIgnoredError

_Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


def guarded_options(options: Mapping[str, Any], policies: tuple[AccessPolicy, ...]) -> dict[str, Any]:
    """Options for fsspec's HTTP file system: the caller's, with our client in place.

    Raises `InvalidReferenceError` for a client or connector of the caller's own that cannot be held to `policies`.
    """
    if policies and ("get_client" in options or "connector" in options.get("client_kwargs", {})):
        raise InvalidReferenceError("storage_options brings a client of its own, which no access policy can hold")
    client = _Client(policies, limits.MAX_SILENCE_SECONDS, limits.MAX_REQUEST_SECONDS)
    # aiohttp gives up at this many, not past it.
    return {"get_client": client, "max_redirects": limits.MAX_REDIRECTS + 1, **options}


@dataclass(frozen=True)
class _Client:
    """Makes the session of one file system. fsspec shares a file system where options, and so this, look alike."""

    policies: tuple[AccessPolicy, ...]
    max_silence: float
    max_request: float

    async def __call__(self, *, timeout: Any = None, **options: Any) -> aiohttp.ClientSession:
        if timeout is None:
            timeout = aiohttp.ClientTimeout(self.max_request, sock_connect=self.max_silence, sock_read=self.max_silence)
        elif isinstance(timeout, (int, float)):
            timeout = aiohttp.ClientTimeout(timeout)
        if self.policies:
            options["connector"] = aiohttp.TCPConnector(resolver=_Resolver(self.policies))
        options["middlewares"] = (*options.get("middlewares", ()), self._watch)
        return aiohttp.ClientSession(timeout=timeout, response_class=_BoundedResponse, **options)

    async def _watch(self, request: aiohttp.ClientRequest, send: _Handler) -> aiohttp.ClientResponse:
        """Runs for each request, those that a redirect leads to included."""
        for policy in self.policies:
            policy.check_host(str(request.url))
        response = await send(request)
        wanted = request.headers.get("Range", "bytes=0-")
        if response.status == 200 and not wanted.startswith("bytes=0-"):
            response.close()
            raise RangesIgnoredError(str(request.url))
        return response


class _Resolver(AbstractResolver):
    """Gives the addresses of a host that the policies allow; the connection is made to no other."""

    def __init__(self, policies: tuple[AccessPolicy, ...]) -> None:
        self._policies = policies
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed, refusal = [], None
        for result in found:
            try:
                for policy in self._policies:
                    policy.check_address(result["host"], f"//{host}")
                allowed.append(result)
            except AccessDeniedError as error:
                refusal = error
        if refusal is not None and not allowed:
            raise refusal
        return allowed

    async def close(self) -> None:
        await self._inner.close()


class _BoundedResponse(aiohttp.ClientResponse):
    async def read(self) -> bytes:
        body = bytearray()
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > limits.MAX_READ_BYTES:
                self.close()
                raise LimitExceededError(
                    f"the server's answer is over mediaref.limits.MAX_READ_BYTES ({limits.MAX_READ_BYTES})"
                )
        return bytes(body)

"""Settings of the web server: the ``[web]`` table of a settings file.

[web]
host = "127.0.0.1"              # other addresses need a token
port = 8780
token_env = "AUDIOCNN_TOKEN"    # variable with the owner's token
guest_token_env = ""            # variable with a token for reading alone
hosts = ["birds.example.org"]   # names under which browsers may reach the page
base_path = "/audiocnn"         # prefix that a reverse proxy passes on
live_audio = false              # whether the owner may listen to the microphone
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from audiocnn.errors import ArgumentError

PORT = 8780
SHORTEST_TOKEN = 16  # characters; shorter ones can be guessed over a network
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is reached and who may do what.

    Parameters
    ----------
    host
        Address to listen on. Anything but a loopback address needs a token.
    port
        TCP port; 0 lets the system choose one.
    token_env, guest_token_env
        Names of environment variables with the tokens of the owner (reads and
        changes) and of guests (read only); empty for none.
    hosts
        Host names, beside addresses and the machine's own name, under which the
        page may be requested: those of a reverse proxy.
    base_path
        Prefix of all paths, where a reverse proxy does not remove it.
    live_audio
        Whether owners may listen to the live sound.
    max_connections
        Connections at the same time; further ones are closed at once.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token_env: str = "AUDIOCNN_TOKEN"
    guest_token_env: str = ""
    hosts: Sequence[str] = ()
    base_path: str = ""
    live_audio: bool = False
    max_connections: int = 200

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.port <= 65535:
            raise ArgumentError(f"[web] port must be between 0 and 65535, got {self.port}")
        if not PREFIX.fullmatch(self.base_path):
            raise ArgumentError(
                f"[web] base_path must look like '/audiocnn', without a slash at its end; "
                f"got {self.base_path!r}"
            )
        if self.max_connections < 1:
            raise ArgumentError(
                f"[web] max_connections must be at least 1, got {self.max_connections}"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


@dataclass(frozen=True)
class Tokens:
    """The secrets that give rights.

    Parameters
    ----------
    owner
        Reads and changes; never empty.
    guest
        Reads; empty for none.
    chosen
        Whether the owner's token was given by the user, and not made for this run.
    """

    owner: str
    guest: str = ""
    chosen: bool = True


def read_tokens(settings: WebSettings, environment: Mapping[str, str] = os.environ) -> Tokens:
    """Take the tokens from the environment; on loopback, make one if none is there.

    Raises
    ------
    ArgumentError
        If the server would be reachable from other machines without a token, or a
        token is shorter than `SHORTEST_TOKEN` characters.
    """
    owner = environment.get(settings.token_env, "") if settings.token_env else ""
    guest = environment.get(settings.guest_token_env, "") if settings.guest_token_env else ""
    if settings.guest_token_env and not guest:
        raise ArgumentError(
            f"[web] guest_token_env: the variable {settings.guest_token_env} is not set"
        )
    for name, token in ((settings.token_env, owner), (settings.guest_token_env, guest)):
        if token and len(token) < SHORTEST_TOKEN:
            raise ArgumentError(
                f"the token in {name} has {len(token)} characters: at least {SHORTEST_TOKEN} "
                "are needed, for example those that `openssl rand -hex 16` prints"
            )
    if owner and owner == guest:
        raise ArgumentError("the tokens of owner and guests are the same: choose two")
    if owner:
        return Tokens(owner, guest)
    if not settings.is_loopback:
        raise ArgumentError(
            f"[web] host = {settings.host!r} is reachable from other machines, so a token is "
            f"required: set the variable {settings.token_env or 'named by token_env'}, for "
            f"example to what `openssl rand -hex 16` prints"
        )
    return Tokens(secrets.token_urlsafe(24), guest, chosen=False)


def is_loopback(host: str) -> bool:
    """Whether a host is an address of this machine that others cannot reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

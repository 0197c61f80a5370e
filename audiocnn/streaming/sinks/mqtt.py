"""Messages to an MQTT broker, and the sounds as entities in Home Assistant.

    audiocnn/<node>/status                   online or offline (retained; the last will)
    audiocnn/<node>/<source>/event           JSON; also onset, gap, level, session, ...
    audiocnn/<node>/<source>/sound/<label>   ON from onset to event, else OFF (retained)
    homeassistant/.../config                 discovery (retained)

paho-mqtt keeps the connection, in a thread of its own, and renews it with backoff,
also if the broker is away at the start. A message counts as delivered when the
broker has confirmed it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audiocnn import __version__
from audiocnn.errors import ArgumentError
from audiocnn.io.files.safe_names import safe_name
from audiocnn.streaming.messages import EventMessage, Message, Onset, format_message, host_name
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.sinks.webhook import read_secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

CONFIRM = 5.0  # seconds that one attempt waits for the broker's confirmation
RECONNECT = 1, 30  # seconds between two tries at least, and at most
KEEPALIVE = 30  # seconds; a broker that is silent for 1.5 of it is unavailable
SHORT_LIVED = 10.0  # seconds; a connection that the broker ends sooner is suspicious
SUSPICIOUS = 3  # such connections in a row
DEFAULT = MessageFilter(("onset", "event", "gap", "level", "session"))


class Mqtt:
    """Publish messages, and describe the sounds to Home Assistant.

    Parameters
    ----------
    host
        The broker.
    port
        1883 for plain MQTT, 8883 for TLS.
    sounds
        Labels that become entities in Home Assistant; empty for all of the model.
    node
        Name of this listener in topics; two listeners at one broker need different names.
        Empty for the machine's name.
    client_id
        Name of the connection, which must be unique at the broker: of two connections with
        one id the broker closes the older. Empty for one made of the node and a random
        number.
    user, password_env
        Name at the broker, and the environment variable with its password.
    tls
        Encrypt, with the system's certificates.
    discovery
        Home Assistant's prefix of topics; empty for no discovery.
    labels_of
        Labels of each source by its name. Not a setting.
    wants
        What is published.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If paho-mqtt is missing, a value cannot be used, or the variable is not set.
    """

    def __init__(
        self,
        host: str,
        *,
        port: int = 1883,
        sounds: Sequence[str] = (),
        node: str = "",
        client_id: str = "",
        user: str = "",
        password_env: str = "AUDIOCNN_MQTT_PASSWORD",
        tls: bool = False,
        discovery: str = "homeassistant",
        labels_of: Mapping[str, Sequence[str]] | None = None,
        wants: MessageFilter = DEFAULT,
        name: str = "mqtt",
    ) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise ArgumentError(
                f"{name}: MQTT needs paho-mqtt 2: pip install 'audiocnn[mqtt]'"
            ) from error
        if not host or not 0 < port < 65536:
            raise ArgumentError(f"{name}: no broker {host!r} with port {port}")
        self.name, self.wants = name, wants
        self._node, self._discovery = safe_name(node or host_name()), discovery.strip("/")
        self._labels_of = {
            source: [label for label in labels if not sounds or label in sounds]
            for source, labels in (labels_of or {}).items()
        }
        self._place, self._base = f"{host}:{port}", f"audiocnn/{self._node}"
        self._refused = ""  # why there is no connection
        self._connected_at, self._n_short = 0.0, 0
        self._trying: tuple[Message, list[MQTTMessageInfo]] | None = None
        self._active: set[str] = set()  # topics that are ON
        self._id = client_id or f"audiocnn-{self._node}-{secrets.token_hex(4)}"
        client = Client(CallbackAPIVersion.VERSION2, self._id)
        if user:
            client.username_pw_set(user, read_secret(password_env, name))
        if tls:
            client.tls_set()
        client.will_set(f"{self._base}/status", "offline", qos=1, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._status_seen
        client.reconnect_delay_set(*RECONNECT)
        client.connect_timeout = CONFIRM
        self._client = client
        client.connect_async(host, port, KEEPALIVE)
        client.loop_start()

    def handle(self, message: Message) -> None:
        """Publish a message and wait until the broker has it."""
        if self._trying is None or self._trying[0] is not message:
            if not self._client.is_connected():
                why = f" ({self._refused})" if self._refused else ""
                raise TryAgain(f"no connection to {self._place}{why}", soon=True)
            self._trying = message, self._publish(message)
        for info in self._trying[1]:  # paho itself sends again what was not confirmed
            try:
                info.wait_for_publish(CONFIRM)
            except (RuntimeError, ValueError) as error:  # the connection went just now
                self._trying = None
                raise TryAgain(f"no connection to {self._place}: {error}", soon=True) from None
            if not info.is_published():
                raise TryAgain(f"{self._place} does not confirm", soon=True)
        self._trying = None

    def close(self) -> None:
        """Publish the end: a clean one does not bring the last will."""
        client = self._client
        if client.is_connected():
            client.unsubscribe(f"{self._base}/status")
            for topic in self._active:
                client.publish(topic, "OFF", qos=1, retain=True)
            info = client.publish(f"{self._base}/status", "offline", qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):  # the connection went just now
                info.wait_for_publish(CONFIRM)
        client.disconnect()
        client.loop_stop()

    def _topic(self, source: str, *rest: str) -> str:
        parts = [self._base, *([safe_name(source)] if source else []), *rest]
        return "/".join(parts)

    def _publish(self, message: Message) -> list[MQTTMessageInfo]:
        topic = self._topic(message.source, message.type)
        infos = [self._client.publish(topic, format_message(message), qos=1)]
        if isinstance(message, Onset | EventMessage):
            on = isinstance(message, Onset)
            topic = self._topic(message.source, "sound", safe_name(message.label))
            (self._active.add if on else self._active.discard)(topic)
            infos.append(self._client.publish(topic, "ON" if on else "OFF", qos=1, retain=True))
        return infos

    def _connected(self, client: Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        """Publish all that is retained; called by paho at each connection.

        Without confirmation: on a connection that flaps, nothing may pile up.
        """
        if reason.is_failure:
            self._refused = str(reason)
            return
        self._connected_at = time.monotonic()
        if self._n_short < SUSPICIOUS:
            self._refused = ""
        for topic, config in self._configs().items():
            client.publish(topic, json.dumps(config), retain=True)
        for source, labels in self._labels_of.items():
            for topic in [self._topic(source, "sound", safe_name(label)) for label in labels]:
                client.publish(topic, "ON" if topic in self._active else "OFF", retain=True)
        client.publish(f"{self._base}/status", "online", retain=True)
        client.subscribe(f"{self._base}/status")

    def _disconnected(self, _c: Client, _d: Any, flags: Any, reason: Any, properties: Any) -> None:
        """Notice a broker that ends each connection soon: the id is used by another client."""
        short = time.monotonic() - self._connected_at < SHORT_LIVED
        self._n_short = self._n_short + 1 if short else 0
        if self._n_short >= SUSPICIOUS:
            self._refused = (
                f"the broker ended {self._n_short} connections in a row within {SHORT_LIVED:g} s: "
                f"another client has the same client id {self._id!r}, or may not be here"
            )

    def _status_seen(self, client: Client, _: Any, message: Any) -> None:
        """Correct "offline": the last will of another listener with this node's name."""
        if message.payload == b"offline" and client.is_connected():
            client.publish(f"{self._base}/status", "online", retain=True)

    def _configs(self) -> dict[str, dict[str, Any]]:
        """Home Assistant's description of each entity, by topic."""
        if not self._discovery:
            return {}
        common = {
            "availability_topic": f"{self._base}/status",
            "device": {
                "identifiers": [f"audiocnn_{self._node}"],
                "name": f"audiocnn {self._node}",
                "model": "audiocnn",
                "sw_version": __version__,
            },
        }
        configs: dict[str, dict[str, Any]] = {}
        for source, labels in self._labels_of.items():
            where = "" if not source else f"_{safe_name(source)}"
            title = f" ({source})" if len(self._labels_of) > 1 else ""
            node = f"audiocnn_{self._node}"
            configs[f"{self._discovery}/sensor/{node}/last_sound{where}/config"] = {
                "name": f"Last sound{title}",
                "unique_id": f"{node}{where}_last_sound",
                "state_topic": self._topic(source, "event"),
                "value_template": "{{ value_json.label }}",
                "json_attributes_topic": self._topic(source, "event"),
                "icon": "mdi:ear-hearing",
                **common,
            }
            for label in labels:
                slug = safe_name(label)
                configs[f"{self._discovery}/binary_sensor/{node}/{slug}{where}/config"] = {
                    "name": f"{label}{title}",
                    "unique_id": f"{node}{where}_{slug}",
                    "state_topic": self._topic(source, "sound", slug),
                    "device_class": "sound",
                    **common,
                }
        return configs

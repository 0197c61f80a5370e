"""Messages to an MQTT broker, and the sounds as entities in Home Assistant.

    audiocnn/<node>/status          online or offline (retained; the last will)
    audiocnn/<node>/event           JSON, as are onset, gap, session, heartbeat, scores
    audiocnn/<node>/sound/<label>   ON from onset to event, else OFF (retained)
    homeassistant/.../config        discovery (retained)

paho-mqtt keeps the connection, in a thread of its own, and renews it with backoff,
also if the broker is away at the start. A message counts as delivered when the
broker has confirmed it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audiocnn import __version__
from audiocnn.errors import ArgumentError
from audiocnn.io.files.safe_names import safe_name
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain, format_message
from audiocnn.streaming.sinks.webhook import read_secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

CONFIRM = 5.0  # seconds that one attempt waits for the broker's confirmation
RECONNECT = 1, 30  # seconds between two tries at least, and at most
KEEPALIVE = 30  # seconds; a broker that says nothing for 1.5 of it is away
ALL_BUT_SCORES = MessageFilter()


class Mqtt:
    """Publish messages, and say to Home Assistant which sounds there are.

    Parameters
    ----------
    host
        The broker.
    port
        1883 for plain MQTT, 8883 for TLS.
    sounds
        Labels that become entities in Home Assistant.
    node
        Name of this listener in topics; two at one broker need two. Empty for the
        machine's name.
    user, password_env
        Name at the broker, and the environment variable with its password.
    tls
        Encrypt, with the system's certificates.
    discovery
        Home Assistant's prefix of topics; empty for no discovery.
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
        user: str = "",
        password_env: str = "AUDIOCNN_MQTT_PASSWORD",
        tls: bool = False,
        discovery: str = "homeassistant",
        wants: MessageFilter = ALL_BUT_SCORES,
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
        self._node, self._sounds, self._discovery = (
            safe_name(node or socket.gethostname().split(".")[0]),
            sounds,
            discovery.strip("/"),
        )
        self._place, self._base = f"{host}:{port}", f"audiocnn/{self._node}"
        self._refused = ""  # why the broker did not let us in
        self._trying: tuple[Mapping[str, Any], list[MQTTMessageInfo]] | None = None
        self._sounding: set[str] = set()
        client = Client(CallbackAPIVersion.VERSION2, f"audiocnn-{self._node}")
        if user:
            client.username_pw_set(user, read_secret(password_env, name))
        if tls:
            client.tls_set()
        client.will_set(f"{self._base}/status", "offline", qos=1, retain=True)
        client.on_connect = self._connected
        client.reconnect_delay_set(*RECONNECT)
        client.connect_timeout = CONFIRM
        self._client = client
        client.connect_async(host, port, KEEPALIVE)
        client.loop_start()

    def handle(self, message: Mapping[str, Any]) -> None:
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
        """Say goodbye: a clean end does not bring the last will."""
        if self._client.is_connected():
            for topic in [f"{self._base}/sound/{safe_name(x)}" for x in self._sounding]:
                self._client.publish(topic, "OFF", qos=1, retain=True)
            info = self._client.publish(f"{self._base}/status", "offline", qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):  # the connection went just now
                info.wait_for_publish(CONFIRM)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, message: Mapping[str, Any]) -> list[MQTTMessageInfo]:
        kind, label = message.get("type"), str(message.get("label"))
        infos = [self._client.publish(f"{self._base}/{kind}", format_message(message), qos=1)]
        if kind in ("onset", "event"):
            on = kind == "onset"
            (self._sounding.add if on else self._sounding.discard)(label)
            topic, state = f"{self._base}/sound/{safe_name(label)}", "ON" if on else "OFF"
            infos.append(self._client.publish(topic, state, qos=1, retain=True))
        return infos

    def _connected(self, client: Client, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        """Tell all that is retained; called by paho at each connection.

        Without confirmation: on a connection that flaps, nothing may pile up.
        """
        self._refused = str(reason) if reason.is_failure else ""
        if self._refused:
            return
        for topic, config in self._configs().items():
            client.publish(topic, json.dumps(config), retain=True)
        for label in self._sounds:
            state = "ON" if label in self._sounding else "OFF"
            client.publish(f"{self._base}/sound/{safe_name(label)}", state, retain=True)
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
        configs: dict[str, dict[str, Any]] = {
            f"{self._discovery}/sensor/audiocnn_{self._node}/last_sound/config": {
                "name": "Last sound",
                "unique_id": f"audiocnn_{self._node}_last_sound",
                "state_topic": f"{self._base}/event",
                "value_template": "{{ value_json.label }}",
                "json_attributes_topic": f"{self._base}/event",
                "icon": "mdi:ear-hearing",
                **common,
            }
        }
        for label in self._sounds:
            slug = safe_name(label)
            configs[f"{self._discovery}/binary_sensor/audiocnn_{self._node}/{slug}/config"] = {
                "name": label,
                "unique_id": f"audiocnn_{self._node}_{slug}",
                "state_topic": f"{self._base}/sound/{slug}",
                "device_class": "sound",
                **common,
            }
        return configs

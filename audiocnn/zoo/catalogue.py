"""All models at hand or to be had: shipped, installed, available."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiocnn.errors import AudiocnnError
from audiocnn.inference import installed
from audiocnn.inference.bundle import Bundle, load
from audiocnn.zoo.cost import known_cost, measure_cost
from audiocnn.zoo.registry import NETWORKS, Described

# Terms of the shipped models whose card has none for a program, from their README.md.
SHIPPED_TERMS = {"digits": "CC BY-SA 4.0", "environment": "data: CC BY 3.0"}


@dataclass(frozen=True)
class Entry:
    """A model in a list.

    Parameters
    ----------
    name, state
        Its name; ``"shipped"``, ``"installed"`` or ``"available"``.
    title
        What it is, in a line.
    classes
        Number of classes; 0 for a backbone.
    labels
        The classes; none for what is only available.
    features
        Length of its embeddings; 0 if it has none, or it is not known without opening it.
    size
        Bytes of its folder, or to download.
    rate, window, hop
        Hz and seconds; 0 for what is only available.
    licence, commercial_use
        Terms; None if not known.
    calibrated
        Whether its scores are probabilities that were fitted to data.
    times_real_time
        Speed on one core of this machine; None for what is only available.
    error
        What is wrong with it; ``""`` if nothing.
    """

    name: str
    state: str
    title: str
    classes: int = 0
    labels: tuple[str, ...] = ()
    features: int = 0
    size: int = 0
    rate: float = 0.0
    window: float = 0.0
    hop: float = 0.0
    licence: str = ""
    commercial_use: bool | None = None
    calibrated: bool | None = None
    times_real_time: float | None = None
    error: str = ""


def list_models(*, measure: bool = False) -> list[Entry]:
    """List all models, those that ship first.

    Parameters
    ----------
    measure
        Whether to measure the cost of all models anew; otherwise only of those whose cost is
        not known yet, which takes about a second.
    """
    shipped, present = installed.shipped_models(), installed.installed_models()
    entries = [_present(installed.SHIPPED / name, "shipped", measure) for name in shipped]
    folder = installed.models_folder()
    entries += [_present(folder / name, "installed", measure) for name in present]
    return entries + [_available(n) for n in NETWORKS.values() if n.name not in present]


def _present(folder: Path, state: str, measure: bool) -> Entry:
    try:
        bundle = load(folder, check=False)
        speed = None if measure else known_cost(bundle)
        speed = measure_cost(bundle) if speed is None else speed
    except AudiocnnError as error:
        return Entry(folder.name, state, "", error=str(error))
    card = bundle.card
    return Entry(
        name=folder.name,
        state=state,
        title=str(card.get("title") or _title(bundle)),
        classes=len(bundle.labels),
        labels=bundle.labels,
        features=int(bundle.network.details.get("features", 0)),
        size=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        rate=bundle.rate,
        window=bundle.window,
        hop=bundle.hop,
        licence=str(card.get("licence") or SHIPPED_TERMS.get(folder.name, "")),
        commercial_use=card.get("commercial_use"),
        calibrated=bool(card.get("calibrated", True)),
        times_real_time=speed,
    )


def _title(bundle: Bundle) -> str:
    details = bundle.network.details
    shown = ", ".join(bundle.labels[:5]) + (" ..." if len(bundle.labels) > 5 else "")
    return f"{details.get('arch', 'network')}: {shown}" if shown else str(details.get("arch", ""))


def _available(network: Described) -> Entry:
    return Entry(
        name=network.name,
        state="available",
        title=network.title,
        classes=network.n_classes,
        features=network.n_features,
        size=network.size,
        licence=network.licence.name,
        commercial_use=network.licence.commercial,
        calibrated=False,
    )

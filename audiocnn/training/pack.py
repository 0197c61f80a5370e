"""From a fitted network to a bundle, and from a bundle back to a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from audiocnn.errors import BundleError
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.bundle_writer import save
from audiocnn.inference.description import NetworkSpec
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.networks.cost import macs_per_column, n_parameters
from audiocnn.networks.onnx_export import export_graph
from audiocnn.training.config import TrainingConfig


def pack(
    model: Classifier,
    config: TrainingConfig,
    labels: tuple[str, ...],
    calibration: Calibration,
    rules: Mapping[str, EventRule],
    card: Mapping[str, Any],
    folder: Path,
) -> Bundle:
    """Export a network and write it with all that belongs to it.

    Parameters
    ----------
    model, config, labels
        What was fitted, how, and on what.
    calibration, rules
        Fitted on sounds that the network was not fitted on.
    card
        For people; ``card["readme"]``, if there, becomes the model card's text.
    folder
        Where the bundle goes.
    """
    per_second = config.front.rate / (config.front.hop * model.stride)
    details = {
        **asdict(model.spec),
        "receptive_field": model.receptive_field,
        "stride": model.stride,
        "parameters": n_parameters(model),
        "mmac_per_second": round(macs_per_column(model) * per_second / 1e6, 2),
    }
    network = NetworkSpec(
        receptive_field=model.receptive_field, stride=model.stride, details=details
    )
    described = {k: v for k, v in card.items() if k != "readme"} | {
        "recipe": _plain(config.described())
    }
    bundle = Bundle(
        labels, config.front, network, config.window, config.hop, dict(rules), calibration,
        config.clip_score, described, export_graph(model), folder.name,
    )  # fmt: skip
    weights = safetensors.torch.save(
        {name: value.contiguous() for name, value in model.state_dict().items()}
    )
    save(bundle, folder, weights, str(card.get("readme") or _short_card(bundle)))
    return bundle


def load_network(bundle: Bundle, folder: Path) -> Classifier:
    """Return the torch network of a bundle, for training on or looking into.

    Raises
    ------
    BundleError
        If the weights do not fit the trunk that the bundle describes.
    """
    names = TrunkSpec.__dataclass_fields__
    model = Classifier(TrunkSpec(**{k: v for k, v in bundle.network.details.items() if k in names}))
    try:
        model.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
    except (RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"{folder}: the weights do not fit the trunk: {error}") from error
    return model.eval()


def _plain(value: Any) -> Any:
    """Turn tuples into lists, as JSON gives them back."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _short_card(bundle: Bundle) -> str:
    rows = "\n".join(f"- {key}: {value}" for key, value in bundle.card.items() if key != "recipe")
    details = bundle.network.details
    return (
        f"# {bundle.name}\n\nMade with audiocnn ({details['arch']}, "
        f"{details['parameters']:,} parameters).\n\nLabels: {', '.join(bundle.labels)}.\n\n"
        f"{rows}\n"
    )

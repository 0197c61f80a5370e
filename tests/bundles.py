"""Small models with random weights: enough to test everything but how well they hear."""

from pathlib import Path

import torch

from audiocnn.frontend.base import FrontEnd
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Calibration
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.training.config import TrainingConfig
from audiocnn.training.pack import pack

FRONT = MelSpec(8000, 256, 100, 16, 50.0, 4000.0)
LABELS = ("bell", "frog", "saw")
CHANNELS = ("x", "y", "z")
OF_CHANNELS = CHANNELS, (0.0, 9.81, 1000.0), (0.5, 2.0, 30.0)  # their means and deviations
SIGNAL_FRONTS: dict[str, FrontEnd] = {
    "raw": RawSpec(50.0, *OF_CHANNELS),
    "log-spectrum": SpectrumSpec(200.0, 32, 10, *OF_CHANNELS),
}


def random_network(
    arch: str, pools: int = 2, n_bands: int = 16, seed: int = 0, planes: int = 1, mean: float = -12
) -> Classifier:
    """Make a network whose every part matters: statistics of batch norms drawn, too."""
    torch.manual_seed(seed)
    model = Classifier(TrunkSpec(arch, "small", planes, n_bands, len(LABELS), pools))
    model.mean = torch.full_like(model.mean, mean)
    model.scale = torch.full_like(model.scale, 0.3)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.2)
            layer.momentum = None  # the mean of all that it sees here
    # Statistics as a training would leave them. Without them a signal fades from layer to
    # layer, and scores that hardly move would agree whatever was wrong.
    frames = 2 * torch.randn(16, planes, n_bands, 200) + mean
    frames += 3 * torch.randn(16, planes, 1, 20).repeat_interleave(10, dim=-1)  # swells
    with torch.no_grad():
        model.train()(frames)
    return model.eval()


def random_bundle(arch: str, folder: Path) -> Bundle:
    """Write a bundle with a random network."""
    recipe = TrainingConfig(FRONT, arch=arch, window=1.5, hop=0.25, pools=2)
    rules = {label: EventRule(0.51, 0.5, smooth=0.5) for label in LABELS}
    calibration = Calibration((3.0, 2.0, 4.0), (0.1, -0.2, 0.0))
    return pack(random_network(arch), recipe, LABELS, calibration, rules, {}, folder)


def random_signal_bundle(kind: str, folder: Path) -> Bundle:
    """Write a bundle for signals of three channels, with a random network."""
    front = SIGNAL_FRONTS[kind]
    arch, mean = ("cnn1d", 0.0) if kind == "raw" else ("cnn2d", -5.0)
    network = random_network(arch, 1, front.n_bands, planes=front.planes, mean=mean)
    recipe = TrainingConfig(front, arch=arch, window=2.0, hop=0.5, pools=1)
    rules = {label: EventRule(0.51, 0.5) for label in LABELS}
    calibration = Calibration((3.0, 2.0, 4.0), (0.1, -0.2, 0.0))
    return pack(network, recipe, LABELS, calibration, rules, {}, folder)

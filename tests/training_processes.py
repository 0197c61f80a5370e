"""Trains in processes that it forks, and kills; run by test_training_processes.py.

    python -m tests.training_processes FOLDER

Imports once, starts no thread, and forks: each child then trains as a process of its
own would, without the seconds that importing takes.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import audiocnn.training.train as training
from audiocnn.training.config import Augmentation
from tests.sounds import make_dataset

CHOSEN = {"arch": "cnn1d", "epochs": 5, "batch": 16, "window": 0.8, "folds": 2}
# Nothing is drawn that differs between one process and two.
PLAIN = {
    "folds": 1, "batch": 64, "dropout": 0.0, "learning_rate": 5e-4,
    "augmentation": Augmentation(
        gain_db=(0.0, 0.0), mixup=0.0, tilt_db=0.0, band_limit=0.0, freq_masks=0, time_masks=0
    ),
}  # fmt: skip


def forked(task: Callable[[int], None], environment: dict[str, str]) -> tuple[int, int]:
    """Run a task in a child; its pid, and where what it writes can be read."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.environ.update(environment)
    try:
        task(writing)
    except BaseException as error:
        print("child:", type(error).__name__, error, file=sys.stderr)
        os._exit(1)
    os._exit(0)


def train(data: Path, out: Path, lines: int, **chosen: object) -> None:
    def tell(line: str) -> None:
        os.write(lines, f"{line}\n".encode())

    training.train_bundle(data, out, progress=tell, **(CHOSEN | chosen))


def read_all(reading: int) -> str:
    with os.fdopen(reading) as lines:
        return lines.read()


def kill_at_random(data: Path, out: Path, rng: random.Random) -> str:
    """Begin or go on, and kill -9 after a drawn number of lines and milliseconds."""
    pid, reading = forked(lambda lines: train(data, out, lines), {})
    with os.fdopen(reading) as lines:
        seen = [lines.readline() for _ in range(rng.randint(2, 6))]
        time.sleep(rng.uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
        seen += lines.readlines()
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL, seen
    return "".join(seen)


def together(data: Path, out: Path, port: int) -> list[str]:
    """Train in two processes, started as torchrun starts them."""
    children = []
    for rank in range(2):
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
        }  # fmt: skip
        children.append(
            forked(lambda lines: train(data, out, lines, devices=2, **PLAIN), environment)
        )
    said = [read_all(reading) for _, reading in children]
    codes = [os.waitpid(pid, 0)[1] for pid, _ in children]
    assert codes == [0, 0], codes
    return said


def main() -> None:
    folder = Path(sys.argv[1])
    data, rng = make_dataset(folder / "sounds", 6), random.Random(4)
    for name in ("whole", "again"):
        pid, reading = forked(lambda lines, n=name: train(data, folder / n / "m", lines), {})
        read_all(reading)
        assert os.waitpid(pid, 0)[1] == 0
    killed = [kill_at_random(data, folder / "killed" / "m", rng) for _ in range(3)]
    pid, reading = forked(lambda lines: train(data, folder / "killed" / "m", lines), {})
    rest = read_all(reading)
    assert os.waitpid(pid, 0)[1] == 0
    pid, reading = forked(lambda lines: train(data, folder / "alone" / "m", lines, **PLAIN), {})
    read_all(reading)
    assert os.waitpid(pid, 0)[1] == 0
    said = together(data, folder / "two" / "m", 20000 + os.getpid() % 20000)
    print(json.dumps({"killed": killed, "rest": rest, "two": said}))


if __name__ == "__main__":
    main()

"""`audiocnn review`: judge the events of a run or a station, by ear and by eye."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import webbrowser
from pathlib import Path

from audiocnn.errors import AudiocnnError, BundleError
from audiocnn.inference.bundle import Bundle, load
from audiocnn.inference.embeddings import n_features
from audiocnn.web.review.items import Source, open_source
from audiocnn.web.review.review import Review
from audiocnn.web.review.terminal import TerminalReview, ask_label, keys_of_terminal


def run(args: argparse.Namespace) -> int:
    """Review until the user ends it."""
    source = open_source(
        Path(args.run), output=Path(args.output) if args.output else None, order=args.order,
        limit=args.limit, labels=args.label,
    )  # fmt: skip
    if not source.items:
        raise AudiocnnError(f"{args.run} has no events")
    review = Review(source, model_of(source, args.model))
    if args.terminal:
        if args.order == "variety":
            review.compare_sounds()
        TerminalReview(review, args.order, keys_of_terminal(), ask_label).run()
        return 0
    return serve(review, args)


def model_of(source: Source, named: str | None) -> Bundle | None:
    """Load the model whose embeddings say what is alike; None if there is none."""
    name = named or source.model
    if not name:
        return None
    try:
        bundle = load(name)
        n_features(bundle)
        return bundle if bundle.front.sound else None
    except (BundleError, OSError) as error:
        if named:
            raise
        print(f"sounds are compared by their spectra: {error}", file=sys.stderr)
        return None


def serve(review: Review, args: argparse.Namespace) -> int:
    """Open the review page in a browser, and serve it until Ctrl-C or SIGTERM."""
    try:
        from audiocnn.web.review.page import review_server
    except ImportError as error:
        raise AudiocnnError(
            f"the page needs pip install 'audiocnn[web]' ({error.name} is missing); "
            "--terminal works without"
        ) from error
    server, link = review_server(review, args.port)
    comparing = threading.Thread(target=review.compare_sounds, name="compare", daemon=True)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server.start()
    comparing.start()
    print(f"{len(review.items)} events; verdicts go to {review.source.verdicts.path}",
          file=sys.stderr)  # fmt: skip
    print(link, flush=True)
    if not args.no_browser:
        webbrowser.open(link)
    while not stopped.wait(0.5):
        pass
    review.stop()
    server.stop()
    found = review.progress()
    print(f"{found['judged']} of {found['total']} judged", file=sys.stderr)
    return 0

"""How it learnt, and from what: curves, clips, the doctor's findings, the config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiocnn.training.preparation import clock
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, details, paragraph, picture, table, text
from audiocnn.training.report.subject import Subject
from audiocnn.training.report.summary import counted

BARS = 40  # classes in the picture of clips
FILES = 6  # of a finding that are named


def curve_section(subject: Subject) -> Section:
    """Draw the loss of each epoch, and what was held out."""
    curves = [c for c in subject.training.curves if c.loss]
    if not curves:
        return Section("curves", "How it learnt", paragraph("No curve was kept."))
    with drawing.canvas(4.8, 2.8) as figure:
        ax = figure.subplots()
        for curve in curves:
            epochs = np.arange(1, len(curve.loss) + 1)
            final = curve is curves[-1]
            width, alpha, name = (2, 1, "varied training sounds") if final else (1, 0.4, None)
            ax.plot(epochs, curve.loss, color=drawing.FIRST, lw=width, alpha=alpha, label=name)
            ax.plot(epochs, curve.held_out_loss, color=drawing.SECOND, lw=1.4, alpha=0.8)
        ax.plot([], [], color=drawing.SECOND, label="held-out sounds, as they are")
        ax.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        ax.grid(True, axis="y")
        ax.legend()
        loss = drawing.svg_of(figure, "loss by epoch")
    said = (
        "The loss should fall and level out. The training curve stays high because its sounds are "
        "mixed, masked and disturbed on purpose. If the held-out curve turned upward, the network "
        "would be learning its clips by heart."
    )
    pictures = picture(loss, said) + _accuracy(curves)
    seconds = float(np.nansum([np.nansum(c.seconds) for c in curves]))
    fits = f"{len(curves)} networks were" if len(curves) > 1 else "one network was"
    under = paragraph(f"{fits[:1].upper()}{fits[1:]} fitted, in {clock(seconds)} all together.")
    return Section("curves", "How it learnt", under + f'<div class="pair">{pictures}</div>')


def _accuracy(curves: list[Any]) -> str:
    held = [c for c in curves if not np.isnan(c.held_out_accuracy).all()]
    if not held:
        return ""
    with drawing.canvas(4.8, 2.8) as figure:
        ax = figure.subplots()
        for curve in held:
            values = 100 * np.array(curve.held_out_accuracy)
            ax.plot(np.arange(1, values.size + 1), values, color=drawing.SECOND, lw=1.4, alpha=0.8)
        ax.set(xlabel="epoch", ylabel="windows named rightly, %", ylim=(0, 101))
        ax.grid(True, axis="y")
        drawn = drawing.svg_of(figure, "held-out accuracy by epoch")
    return picture(
        drawn,
        "Single windows of clips that this fit did not see, one line a fit: where the lines lie "
        "apart, the clips that were held out differ in difficulty.",
    )


def data_section(subject: Subject) -> Section:
    """Show what there was to learn from, and what is wrong with it."""
    t = subject.training
    counts = t.targets.sum(0).astype(int)
    said = f"{counted(len(t.clips), 'clip', 'clips')} of "
    said += counted(len(t.labels), "class", "classes")
    said += f", and {len(t.background)} stretches of other sound." if t.background else "."
    order = np.argsort(-counts, kind="stable")[:BARS]
    with drawing.canvas(4.8, 0.6 + 0.2 * len(order)) as figure:
        ax = figure.subplots()
        names = [t.labels[i] if len(t.labels[i]) <= 28 else t.labels[i][:27] + "…" for i in order]
        at = np.arange(len(order))
        ax.barh(at, counts[order], color=drawing.FIRST, height=0.62)
        ax.set_yticks(at, names)
        ax.invert_yaxis()
        ax.set_xlabel("clips")
        ax.tick_params(axis="y", length=0, labelcolor=drawing.INK)
        ax.grid(True, axis="x")
        drawn = drawing.svg_of(figure, "clips of each class")
    more = f" The {BARS} largest are shown." if len(counts) > BARS else ""
    bars = picture(drawn, "The more alike the bars, the better: a class with few clips is learnt "
                   f"worse, and judged less surely.{more}")  # fmt: skip
    return Section("data", "The sounds it learnt from", paragraph(said) + bars + _findings(subject))


def _findings(subject: Subject) -> str:
    title = "<h3>What the dataset doctor found</h3>"
    if subject.findings is None:
        return title + paragraph(
            "It was not asked. audiocnn check DATA finds unreadable, silent, clipped and doubled "
            "recordings, and labels that are probably wrong."
        )
    if not subject.findings:
        return title + paragraph("Nothing is wrong with the data.")
    rows = []
    for finding in subject.findings:
        places = list(finding["places"])
        named = "<br>".join(_place(place) for place in places[:FILES])
        more = f"<br>and {len(places) - FILES} more" if len(places) > FILES else ""
        severity = str(finding["severity"])
        kind = severity if severity in ("error", "warning") else "note"
        rows.append([f'<span class="{kind}">{text(severity)}</span>', text(finding["kind"]),
                     f"{text(finding['message'])}<br>To do: {text(finding['advice'])}",
                     f"<small>{named}{more}</small>"])  # fmt: skip
    said = "What an error names should be mended before training again; a note may be left."
    return title + table(
        ["", "kind", "what it is, and what to do", "files"], rows, said, ready=True, prose=True
    )


def _place(place: Mapping[str, str]) -> str:
    name, detail = str(place["path"]).rsplit("/", 1)[-1], place.get("detail", "")
    return text(f"{name}: {detail}" if detail else name)


def config_section(subject: Subject) -> Section:
    """List how it was trained: for those who want to repeat it."""
    t = subject.training
    config = t.config.described()
    varied = config.pop("augmentation" if "augmentation" in config else "variation")
    front = config.pop("front")
    body = paragraph(f"Data: {t.data}. The config is stored in the bundle too.")
    for title, values in (("Recipe", config), ("Front end", front), ("Augmentation", varied)):
        body += details(title, _listed(values))
    return Section("recipe", "For those who repeat it", body)


def _listed(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in values.items() if v != "")
    return f"<dl>{rows}</dl>"

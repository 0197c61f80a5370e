"""Choosing classes: names as people write them, groups, and what is said of the others."""

from pathlib import Path

import pytest

from audiocnn.errors import ArgumentError
from audiocnn.zoo.audioset import ancestors, audioset_labels, descendants, parents
from audiocnn.zoo.class_selection import choose_classes

MN04 = audioset_labels("mn04")
BIRDS = ("Turdus merula_Common Blackbird", "Turdus pilaris_Fieldfare", "Corvus corax_Common Raven")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("siren", {"Siren", "Police car (siren)", "Ambulance (siren)",
                   "Fire engine, fire truck (siren)", "Civil defense siren"}),
        ("=Siren", {"Siren"}),
        ("BABY_CRY  infant cry", {"Baby cry, infant cry"}),
        ("man speaking", {"Male speech, man speaking"}),
        ("Male speech, man speaking,female speech, woman speaking",
         {"Male speech, man speaking", "Female speech, woman speaking"}),
        ("meow,=rain", {"Meow", "Rain"}),
        ("chainsaw , HELICOPTER,", {"Chainsaw", "Helicopter"}),
    ],
)  # fmt: skip
def test_names_are_matched_forgivingly(wanted: str, expected: set[str]) -> None:
    assert set(choose_classes(MN04, wanted)) == expected


def test_order_is_the_models() -> None:
    assert choose_classes(MN04, "=siren,=dog,=speech") == ("Speech", "Dog", "Siren")


def test_names_in_a_sequence_may_have_commas() -> None:
    assert choose_classes(MN04, ["=dog", "male speech, man speaking"]) == (
        "Male speech, man speaking", "Dog",
    )  # fmt: skip
    with pytest.raises(ArgumentError, match="no classes are named"):
        choose_classes(MN04, [])


def test_group_that_is_no_output_takes_what_is_below() -> None:
    chosen = choose_classes(MN04, "domestic animals pets")
    assert {"Dog", "Bark", "Cat", "Meow"} <= set(chosen)
    assert "Horse" not in chosen  # livestock
    assert len(choose_classes(MN04, "Human sounds")) > 50


def test_label_of_a_group_takes_what_is_below_it_too() -> None:
    assert {"Animal", "Dog", "Crow", "Bark"} <= set(choose_classes(MN04, "Animal"))


def test_either_name_of_a_species() -> None:
    assert choose_classes(BIRDS, "common blackbird,corvus CORAX") == (BIRDS[0], BIRDS[2])


def test_name_of_several_classes_is_refused() -> None:
    doubled = ("Hum (mains)", "Hum (insect)")
    with pytest.raises(ArgumentError, match=r"'hum' is part of 2 classes: .*; write one in full"):
        choose_classes(doubled, "hum")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("barc", r"no class 'barc' among its 527; did you mean 'Bark'"),
        ("blackbird", r"did you mean 'Turdus merula_Common Blackbird'|'Common Blackbird'"),
        ("zzzzqq", r"audiocnn info"),
        (" , ", r"no classes are named"),
    ],
)
def test_unknown_name_is_refused_with_what_is_near(wanted: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        choose_classes(BIRDS if "bird" in wanted else MN04, wanted)


def test_classes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("\ufeff# of interest\n=Dog\n\n  Male speech, man speaking\n", encoding="utf-8")
    assert choose_classes(MN04, file) == ("Male speech, man speaking", "Dog")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match=r"classes\.txt: cannot be read as a list of classes"):
        choose_classes(MN04, file)


def test_labels_of_networks() -> None:
    assert (len(MN04), len(set(MN04)), MN04[0], MN04[526]) == (
        527,
        527,
        "Speech",
        "Field recording",
    )
    yamnet = audioset_labels("yamnet")
    assert (len(yamnet), yamnet[0], yamnet[494]) == (521, "Speech", "Silence")
    with pytest.raises(ArgumentError, match="no outputs of 'name' are known"):
        audioset_labels("name")


def test_labels_agree_with_the_published_tables(real_models: Path) -> None:
    import csv

    for name, file in (("mn04", "audioset_labels.csv"), ("yamnet", "yamnet_class_map.csv")):
        with (real_models / file).open(encoding="utf-8", newline="") as rows:
            assert audioset_labels(name) == tuple(r["display_name"] for r in csv.DictReader(rows))


def test_hierarchy() -> None:
    assert {"Dog", "Bark", "Domestic animals, pets"} <= descendants("Animal")
    assert {"Animal", "Domestic animals, pets", "Dog"} <= ancestors("Bark")
    assert descendants("Field recording") == frozenset()
    assert "Animal" not in descendants("Animal")
    assert all(above in parents() for names in parents().values() for above in names)

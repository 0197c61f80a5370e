"""Classes of the general model: groups of AudioSet's that a person would name.

AudioSet has 527 classes, many of which a network, a teacher included, rarely tells apart
("Chirp, tweet" and "Squawk"). A group is present where any of its members is. Which of the
groups ship is decided by measurement, see `audiocnn.training.distillation.class_head`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocnn.zoo.audioset import audioset_labels, descendants

# Label: members; "+" takes a class with everything below it in AudioSet's hierarchy.
GROUPS: dict[str, tuple[str, ...]] = {
    "speech": ("Speech", "Male speech, man speaking", "Female speech, woman speaking",
               "Child speech, kid speaking", "Conversation", "Narration, monologue"),
    "shout": ("+Shout", "Screaming"),
    "whisper": ("Whispering",),
    "laughter": ("+Laughter",),
    "baby_cry": ("Baby cry, infant cry", "Crying, sobbing", "Whimper"),
    "singing": ("+Singing",),
    "snoring": ("Snoring", "Snort"),
    "cough": ("Cough", "Throat clearing"),
    "sneeze": ("Sneeze",),
    "footsteps": ("Walk, footsteps", "Run"),
    "clapping": ("Clapping", "Applause"),
    "cheering": ("Cheering",),
    "crowd": ("Crowd", "Chatter", "Hubbub, speech noise, speech babble"),
    "whistling": ("Whistling", "Whistle"),
    "dog": ("+Dog",),
    "cat": ("+Cat",),
    "horse": ("+Horse",),
    "cattle": ("Cattle, bovinae", "Moo"),
    "pig": ("+Pig",),
    "sheep": ("+Goat", "Sheep"),
    "chicken": ("Chicken, rooster", "Cluck", "Crowing, cock-a-doodle-doo"),
    "duck": ("+Duck", "+Goose"),
    "bird": ("+Bird",),
    "insect": ("+Insect",),
    "frog": ("+Frog",),
    "music": ("+Music",),
    "guitar": ("+Guitar",),
    "piano": ("+Piano",),
    "drum": ("+Drum", "Drum kit", "Drum machine"),
    "wind": ("Wind", "Wind noise (microphone)"),
    "thunder": ("+Thunderstorm",),
    "rain": ("+Rain",),
    "waves": ("+Ocean",),
    "stream": ("Stream", "Waterfall", "Trickle, dribble", "Gurgling"),
    "tap_water": ("Water tap, faucet", "Sink (filling or washing)", "Pour",
                  "Fill (with liquid)", "Bathtub (filling or washing)"),
    "fire": ("+Fire",),
    "engine": ("+Engine", "Accelerating, revving, vroom"),
    "car": ("+Car", "Truck", "Bus", "Traffic noise, roadway noise"),
    "motorcycle": ("Motorcycle",),
    "car_horn": ("Vehicle horn, car horn, honking", "Toot", "Air horn, truck horn"),
    "siren": ("Siren", "Civil defense siren", "Police car (siren)", "Ambulance (siren)",
              "Fire engine, fire truck (siren)", "Emergency vehicle"),
    "train": ("+Rail transport",),
    "boat": ("+Boat, Water vehicle",),
    "helicopter": ("Helicopter",),
    "aircraft": ("Aircraft", "Aircraft engine", "Jet engine", "Propeller, airscrew",
                 "Fixed-wing aircraft, airplane"),
    "alarm": ("Alarm", "Alarm clock", "Smoke detector, smoke alarm", "Fire alarm", "Buzzer",
              "Car alarm"),
    "telephone": ("+Telephone",),
    "beep": ("Beep, bleep", "Ping", "Reversing beeps"),
    "bell": ("+Bell",),
    "clock_tick": ("Clock", "Tick", "Tick-tock"),
    "door": ("Door", "Sliding door", "Slam", "Cupboard open or close"),
    "knock": ("Knock", "Tap"),
    "creak": ("Squeak", "Creak"),
    "dishes": ("Dishes, pots, and pans", "Cutlery, silverware", "Chink, clink"),
    "keyboard_typing": ("+Typing",),
    "mouse_click": ("Clicking",),
    "chainsaw": ("Chainsaw",),
    "power_tool": ("Power tool", "Drill", "Dental drill, dentist's drill", "Sawing", "Sanding",
                   "Jackhammer", "Lawn mower"),
    "hammer": ("Hammer",),
    "vacuum_cleaner": ("Vacuum cleaner", "Hair dryer", "Blender"),
    "fan": ("Mechanical fan", "Air conditioning"),
    "gunshot": ("+Gunshot, gunfire",),
    "explosion": ("Explosion", "Boom", "Eruption", "Burst, pop"),
    "fireworks": ("+Fireworks",),
    "glass": ("Glass", "Shatter"),
    "splash": ("Splash, splatter", "Slosh"),
    "static": ("Static", "White noise", "Pink noise"),
    "hum": ("Hum", "Mains hum"),
}  # fmt: skip


def members(name: str) -> tuple[str, ...]:
    """Give the AudioSet classes of a group that networks have outputs for."""
    outputs = set(audioset_labels("mn04"))
    found: dict[str, None] = {}
    for member in GROUPS[name]:
        below = descendants(member[1:]) if member[0] == "+" else frozenset()
        wanted = {member.removeprefix("+"), *below}
        found |= dict.fromkeys(sorted(wanted & outputs))
    return tuple(found)


def main_member(name: str) -> int:
    """Give the output of the networks that stands for a group at first: its first member."""
    return audioset_labels("mn04").index(GROUPS[name][0].removeprefix("+"))


def group_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn probabilities (W, 527) of classes into those of the groups (W, G), the largest."""
    labels = audioset_labels("mn04")
    columns = [[labels.index(member) for member in members(name)] for name in GROUPS]
    found = [probabilities[:, chosen].max(1) for chosen in columns]
    return np.stack(found, 1).astype(np.float32)


# Labels of ESC-10 that are one of the groups, by which people can be asked, too.
ESC10 = {
    "baby_cry": "baby_cry", "chainsaw": "chainsaw", "clock_tick": "clock_tick",
    "dog_bark": "dog", "fire_crackling": "fire", "helicopter": "helicopter",
    "person_sneeze": "sneeze", "rain": "rain", "rooster": "chicken", "sea_waves": "waves",
}  # fmt: skip
# Sources of ESC-10's clips (freesound's numbers) whose recordings the shipped student was
# trained on, found afterwards in a public sound pack: their two clips measure nothing.
ESC10_TRAINED_ON = ("157149", "163264")

"""What a sentence claims and denies is read back from it, and judges a body that is told it."""

import jax.numpy as jnp
import pytest

import envs
from envs.humanoid import captions
from envs.humanoid.body import START_HEIGHT
from envs.humanoid.concepts import ARMS, DETAILS, POSTURES, SOUND
from envs.humanoid.meaning import Meaning, is_caption, meaning_of, parts_of
from envs.humanoid.paraphrases import PARAPHRASES
from envs.humanoid.tasks import TASKS
from envs.types import told


def test_every_wording_says_what_it_was_made_of():
    claims = captions.claims()
    for parts, denied, wordings in zip(claims.parts, claims.negated, claims.wordings, strict=True):
        numbered = zip(parts[:2], denied[:2].tolist(), strict=True)
        made_of = tuple(captions.Part(captions.NAMES[i], no) for i, no in numbered if i >= 0)
        detailed = len(made_of) == 2 and made_of[1].name in DETAILS
        for sentence in wordings:
            assert parts_of(sentence) == (None if detailed or not made_of else made_of), sentence


def test_what_was_held_out_from_training_is_known_too():
    for posture, arms in captions.HELD_OUT:
        for sentence in captions.claim(posture, arms):
            assert said_of(sentence) == (posture, arms), sentence


def test_a_task_is_what_its_prompt_says():
    for task in TASKS.values():
        assert meaning_of(task.goal) == Meaning(task.bounds)


def said_of(sentence):
    """Names of what is claimed, "not NAME" of what is denied."""
    parts = parts_of(sentence)
    return parts and tuple("not " * part.negated + part.name for part in parts)


@pytest.mark.parametrize(
    "sentence",
    ["", "robots", "a humanoid robot", "a humanoid robot dancing", "a dog kneeling",
     "a humanoid robot kneeling, not dancing", "a humanoid robot kneeling, sitting"],
)  # fmt: skip
def test_what_nobody_can_measure_is_none(sentence):
    assert parts_of(sentence) is None and meaning_of(sentence) is None


@pytest.mark.parametrize(
    "sentence",
    [" A humanoid robot  kneeling, with its arms crossed.", "a Robot, kneeling and with crossed arms!",
     "the humanoid is on its knees , with its arms crossed"],
)  # fmt: skip
def test_case_spaces_and_marks_do_not_matter(sentence):
    assert said_of(sentence) == ("kneeling", "crossed")


@pytest.mark.parametrize(
    ("sentence", "names"),
    [("kneeling", ("kneeling",)), ("kneel and raise both arms", ("kneeling", "raised")),
     ("A person kneels down.", ("kneeling",)), ("the robot goes down on one knee", ("one-knee",)),
     ("it sits cross-legged with folded arms", ("lotus", "crossed")), ("stretch your arms", None),
     ("a humanoid robot not kneeling", ("not kneeling",)), ("do not sit", ("not sitting",)),
     ("kneeling, not standing", ("kneeling", "not standing")),
     ("a robot without crossed arms", ("not crossed",)), ("kneeling robot", ("kneeling",)),
     ("a robot with its arms crossed, kneeling", ("kneeling", "crossed")), ("in a T-pose", ("sideways",)),
     ("standing on its left foot", ("left-leg",)), ("kneeling with hands up", ("kneeling", "raised")),
     ("a humanoid robot squatting with arms out", ("squatting", "sideways")),
     ("a humanoid robot kneeling, without its arms hanging down", ("kneeling", "not hanging"))],
)  # fmt: skip
def test_it_is_said_in_many_ways(sentence, names):
    assert said_of(sentence) == names


@pytest.mark.parametrize(
    ("names", "sentences"),
    [("on-hips", "hands on hips; with its hands on hips; a robot with the hands on its hips"),
     ("standing raised", "standing, arms raised; stand with hands up; an upright robot, both arms up"),
     ("kneeling on-hips", "kneeling, hands on hips; kneel down, her hands on her hips"),
     ("standing crossed", "standing, arms crossed; the robot, arms crossed, standing tall"),
     ("crossed", "arms crossed; cross both arms; with his arms folded across his chest"),
     ("raised", "hands up; raise your hands; with both arms up; arms above its head; lift both arms"),
     ("raised", "hold your hands above your head; a robot with its hands raised"),
     ("right-raised", "raise your right hand; with its right arm up; lifting the right arm"),
     ("one-raised", "with one arm up; raising one hand; one hand raised"),
     ("left-leg", "stand on the left leg; stand on its left foot; raise your right leg; lift your right leg"),
     ("left-leg", "standing up on its left leg; balancing on its left leg; with the right leg off the floor"),
     ("right-leg", "raise your left leg; lifting its left foot; lifts the left leg"),
     ("one-leg", "balance on one foot; raise one foot; with one leg in the air"),
     ("left-knee", "kneeling on the left knee; go down on your left knee; kneels down on its left knee"),
     ("one-knee", "kneel down on one knee; get down on one knee"), ("kneeling", "get on your knees"),
     ("lotus", "sit in lotus position; lotus pose; in the lotus pose; sit with crossed legs"),
     ("lotus", "sit cross-legged on the floor; sitting with both legs crossed; it, seated in the lotus pose"),
     ("splits", "a side split; doing splits; do a side split on the floor; a robot performs the splits"),
     ("on-its-back", "lie on the back; lying flat on its back; lying on the ground on its back"),
     ("lying", "a robot lying; lie flat on the floor"), ("face-down", "lie face down on the ground"),
     ("standing", "stand still; stand tall; stand straight; stand up tall; on its two feet"),
     ("bending", "bow down"), ("on-all-fours", "get on all fours; go down on all fours"),
     ("left-leg right-raised", "stand on the left leg and raise your right arm"),
     ("right-leg raised", "raise your left leg and raise your hands"),
     ("face-down crossed", "arms crossed, on its belly")],
)  # fmt: skip
def test_small_words_and_forms_of_verbs_do_not_matter(names, sentences):
    for sentence in sentences.split("; "):
        assert said_of(sentence) == tuple(names.split()), sentence
        assert said_of(f"not {sentence}") in (None, (f"not {names}",)), sentence


@pytest.mark.parametrize(
    ("sentence", "names"),
    [("not standing on one leg", ("not one-leg",)), ("do not raise the right leg", ("not left-leg",)),
     ("kneeling, not hands on hips", ("kneeling", "not on-hips")), ("put your arms down", ("hanging",)),
     ("stand and do not lift your hands", ("standing", "not raised"))],
)  # fmt: skip
def test_other_words_for_what_is_not_so(sentence, names):
    assert said_of(sentence) == names


@pytest.mark.parametrize(
    "sentences",
    ["hands on its head; hands on its knees; arms on hips; hands crossed; with one hand on its hip",
     "arms over its legs; arms crossed behind its back; arms crossed on its belly; hold its hips",
     "raise your leg; raise your legs; raise your hand; arm raised; legs up; put your hands on your knees",
     "raise your left leg and right arm; one arm up and one arm down; put down your raised arms",
     "not standing, arms raised; not kneeling, arms up; do not raise its arms and kneel; no arms raised",
     "standing with crossed legs; with its legs crossed; sitting with its left leg up; not not kneeling",
     "kneeling with its arms stretched out forward on the floor; standing with its hands on the floor",
     "standing on its hands; standing on both hands; standing on its back; sitting on its knees",
     "leaning to the left; lie on the side; stand down; bow on the floor; raise one leg on the floor",
     "a robot with a bow; a robot holding a bow; a robot with its bow; a robot split in two",
     "on the floor; get up; get down; put; a; with both; raised; up; its hands; do not; not; without"],
)  # fmt: skip
def test_what_sounds_alike_is_not_taken_for_it(sentences):
    for sentence in sentences.split("; "):
        assert said_of(sentence) is None, sentence


@pytest.mark.parametrize("sentence", ["hands on hips", "lift the left foot", "an upright robot, arms akimbo"])
def test_what_is_understood_so_is_no_caption_yet(sentence):
    assert parts_of(sentence) and not is_caption(sentence)


def test_other_words_for_a_task_are_judged_as_the_task_or_not_at_all():
    judged = 0
    for name, sentences in PARAPHRASES.items():
        for sentence in sentences:
            meaning = meaning_of(sentence)
            assert meaning in (None, Meaning(TASKS[name].bounds)), sentence
            judged += meaning is not None
    assert judged > 40


@pytest.mark.parametrize(
    ("sentence", "known"),
    [("a humanoid robot kneeling, with its arms crossed", True), ("A humanoid robot not kneeling.", True),
     ("a humanoid robot kneeling with outstretched arms", True), ("a humanoid robot", True),
     ("a humanoid robot standing up, leaning forward", True), ("robot robot robot", False),
     ("a humanoid robot kneeling, not standing", True), ("kneeling but not on its feet", True),
     ("a person kneels and does not stand", True), ("do not kneel", True), ("not", False),
     ("a humanoid robot kneeling, not dancing", False), ("a humanoid robot standing on its hands", False)],
)  # fmt: skip
def test_what_captions_say_and_what_they_never_do(sentence, known):
    assert is_caption(sentence) == known


def test_a_body_is_judged_by_what_it_was_told():
    env = envs.make("humanoid/kneeling")
    other = told(env, "a robot standing with one arm raised")
    assert other.bounds == POSTURES["standing"] + ARMS["one-raised"] + SOUND
    assert other.goal == "a robot standing with one arm raised" and env.goal == TASKS["kneeling"].goal
    assert told(env, "a humanoid robot dancing") is env
    upright = jnp.asarray(env.mj_model.qpos0).at[2].set(START_HEIGHT)
    standing = told(env, TASKS["standing"].goal)
    assert standing.success(env.pose_at(upright)) and not env.success(env.pose_at(upright))


def test_a_denial_judges_too():
    env = envs.make("humanoid/kneeling")
    upright = env.pose_at(jnp.asarray(env.mj_model.qpos0).at[2].set(START_HEIGHT))
    for sentence, true in {
        "a humanoid robot not kneeling": True,
        "a humanoid robot not standing up": False,
        "standing, not kneeling": True,
        "a humanoid robot standing up, without its arms raised": True,
        "a humanoid robot standing up, without its arms hanging down": bool(
            ~told(env, "a humanoid robot with its arms hanging down").success(upright)
        ),
        "kneeling, not standing": False,
    }.items():
        other = told(env, sentence)
        assert other.goal == sentence and bool(other.success(upright)) == true, sentence
        assert 0 <= other.progress(upright) <= 1
    assert told(env, "a humanoid robot not standing up").progress(upright) == 0
    assert told(env, "a humanoid robot not kneeling").progress(upright) > 0.5


def test_who_knows_no_sentences_or_an_order_stays_as_it_is():
    for name in ("pendulum", "humanoid/raise-and-lower-left-arm"):
        env = envs.make(name)
        assert told(env, "a humanoid robot kneeling") is env

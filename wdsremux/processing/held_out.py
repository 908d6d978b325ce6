"""What is done to held-out splits (validation, test): a chain of their own, or a word about theirs.

Random steps, copies and the function of the training split apply to every split of a run unless
--eval-step or --eval-transform says otherwise.
"""

from collections.abc import Iterator, Sequence

from wdsremux.core.errors import UsageError
from wdsremux.core.recipe import Recipe
from wdsremux.processing.job import HeldOutChain, WorkerJob
from wdsremux.processing.tasks import SeriesRows
from wdsremux.transforms.function.call import function_from_text
from wdsremux.transforms.steps.catalogue import is_random, steps_from_text


def held_out_chain(recipe: Recipe, series: Sequence[SeriesRows]) -> HeldOutChain | None:
    """Return the chain of the held-out splits of a run; None if none is asked for, or none is.

    Raises UsageError for a random step, and for copies, which would all be the same.
    """
    if not recipe.eval_steps and recipe.eval_transform is None:
        return None
    steps = steps_from_text(recipe.eval_steps)
    for step in filter(is_random, steps):
        raise UsageError(
            f"--eval-step {step}: this step is random, and a held-out split is to be the same "
            "for every model; leave it out"
        )
    if recipe.eval_transform is not None and recipe.transform_input == "bytes" and steps:
        raise UsageError(
            "--transform-input bytes cannot be combined with --eval-step: steps decode the image; "
            "use pil or numpy"
        )
    own = [each.name for each in series if each.is_held_out]
    if not own:
        return None
    if recipe.copies > 1:
        raise UsageError(
            f"--copies {recipe.copies} cannot be combined with --eval-step or --eval-transform: "
            f"all copies of {own[0]!r} would be the same; convert it into another OUT with --split "
            f"{own[0]}"
        )
    name = recipe.eval_transform
    function = None if name is None else function_from_text(name)
    return HeldOutChain(tuple(map(str, steps)), function)


def remarks_on_held_out(
    recipe: Recipe, series: Sequence[SeriesRows], job: WorkerJob
) -> Iterator[str]:
    """Yield a note if held-out splits are augmented, or if options for them have no effect."""
    own = [each.name for each in series if each.is_held_out]
    if not own:
        if recipe.eval_steps or recipe.eval_transform:
            yield (
                f"--split {recipe.split} holds nothing out (as validation, dev and test do): "
                "--eval-step and --eval-transform have no effect"
            )
        return
    steps = steps_from_text(job.steps)
    chance = [str(step) for step in steps if is_random(step)]
    causes = [f"random steps ({', '.join(chance)})"] if chance else []
    causes += [f"--copies {job.copies}"] if job.copies > 1 else []
    causes += ["your function"] if job.function is not None else []
    if job.held_out is None and causes:
        names = ", ".join(map(repr, own))
        yield (
            f"held out and yet augmented like the other splits: {names}, by "
            f"{' and '.join(causes)}; {_remedy(own, job)}"
        )


def _remedy(own: Sequence[str], job: WorkerJob) -> str:
    fixed = [f"--eval-step {step}" for step in steps_from_text(job.steps) if not is_random(step)]
    if job.function is not None:
        fixed.append("--eval-transform FILE.py:NAME")
    if job.copies > 1 or not fixed:
        return f"convert them into another OUT, with --split {own[0]} and without what is random"
    return f"{' '.join(fixed)} with another OUT makes them the same for every model"

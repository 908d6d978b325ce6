"""What may have been meant by arguments that a command does not take."""

from collections.abc import Mapping, Sequence

from wdsremux.core.option_values import did_you_mean

OUT_FLAGS = ("-o", "--out", "--output", "--output-dir")
INSTEAD = {
    "--force": "--overwrite",
    "-f": "--overwrite",
    "--num-workers": "--workers",
    "--num_workers": "--workers",
    "--num-proc": "--workers",
    "--num_proc": "--workers",
    "--shard-size": "--max-shard-size",
    "--maxsize": "--max-shard-size",
    "--maxcount": "--max-shard-samples",
}
"""Options of other tools, and what they are called here."""


def hint(left: Sequence[str], command: str, options: Mapping[str, Sequence[str]]) -> str:
    """Return what to write instead, or an empty string.

    `left` are the arguments that were not taken, `options` what each command takes.
    """
    own = options[command]
    flag = next((word.partition("=")[0] for word in left if word.startswith("-")), None)
    if flag is not None:
        return _hint_of_flag(flag, command, options)
    if "--step" in own and left[0][:1].isdigit():
        return f"; the arguments of a step follow '=': --step resize={left[0]}"
    if "source" in own:
        return "; if SOURCE is a pattern, quote it: the shell expands it to several arguments"
    return ""


def _hint_of_flag(flag: str, command: str, options: Mapping[str, Sequence[str]]) -> str:
    own = options[command]
    if flag in OUT_FLAGS and "out" in own:
        return f"; OUT is written without {flag}"
    if "--step" in own and flag[2:] in _step_names():
        return f"; built-in steps are written --step {flag[2:]}"
    if INSTEAD.get(flag) in own:
        return f"; use {INSTEAD[flag]}"
    others = [name for name, known in options.items() if flag in known]
    if others:
        return f"; {flag} is an option of {' and '.join(others)}, not of {command}"
    return did_you_mean(flag, (one for one in own if one.startswith("-")))


def _step_names() -> Sequence[str]:
    from wdsremux.transforms.steps.catalogue import STEPS

    return [*STEPS]

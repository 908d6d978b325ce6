"""What may have been meant by words of the command line that a command does not take."""

from collections.abc import Mapping, Sequence

from wdsremux.core.option_values import meant

OUT_FLAGS = ("-o", "--out", "--output", "--output-dir")


def hint(left: Sequence[str], command: str, options: Mapping[str, Sequence[str]]) -> str:
    """Return what to write instead; nothing where there is no telling.

    `left` are the words that were not taken, `options` what each command takes.
    """
    own = options[command]
    flag = next((word.partition("=")[0] for word in left if word.startswith("-")), None)
    if flag is not None:
        return _hint_of_flag(flag, command, options)
    if "source" in own:
        return "; if SOURCE is a pattern, quote it: the shell makes several words of it"
    return ""


def _hint_of_flag(flag: str, command: str, options: Mapping[str, Sequence[str]]) -> str:
    own = options[command]
    if flag in OUT_FLAGS and "out" in own:
        return f"; OUT is written without {flag}"
    if "--step" in own and flag[2:] in _step_names():
        return f"; built-in steps are written --step {flag[2:]}"
    others = [name for name, known in options.items() if flag in known]
    if others:
        return f"; {flag} is an option of {' and '.join(others)}, not of {command}"
    return meant(flag, (one for one in own if one.startswith("-")))


def _step_names() -> Sequence[str]:
    from wdsremux.transforms.steps.catalogue import STEPS

    return [*STEPS]

"""A small conversion of the demo, to be disturbed, and what it comes to undisturbed."""

from support.runs import step_options, tree

SHARD = r"validation-000001\.tar"
"""Regular expression for the second of three."""


class Conversion:
    """A conversion of the demo into three small shards, and its undisturbed output."""

    arguments = (
        *("--split", "validation", "--max-shard-samples", 10, "--workers", 2),
        *("--engine", "threads", "--progress", "none", *step_options("resize=48x48")),
    )

    def __init__(self, command, folder):
        self.command = command
        self.reference = folder / "reference"
        assert self.run(self.reference).returncode == 0
        self.whole = tree(self.reference)

    def run(self, out):
        return self.command.run("convert", "demo:", out, *self.arguments)

    def assert_only_whole_files(self, out):
        """Check that the published files are correct, and that nothing else is left."""
        assert tree(out).items() < self.whole.items()

    def assert_finishes(self, out):
        done = self.run(out)
        assert done.returncode == 0, done.stderr
        assert tree(out) == self.whole


def reported(ended):
    """Return the error of a run that ended by an error of the store."""
    assert ended.returncode == 5, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr.splitlines()[-1]

"""The documents as tests see them: their code blocks, and bash to run what is marked `sh run`."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "…"
PATIENCE = 240.0


@dataclass(frozen=True)
class Block:
    """One fenced block, and what the document says that it prints: the text or JSON right behind it."""

    place: str
    info: str
    text: str
    prints: str | None = None

    @property
    def is_run(self) -> bool:
        return self.info == "sh run"


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    text = path.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    made = []
    for match, following in zip(found, [*found[1:], None], strict=True):
        prints = None
        if (
            following
            and following["info"] in ("text", "json")
            and not text[match.end() : following.start()].strip()
        ):
            prints = following["text"]
        line = text.count("\n", 0, match.start()) + 1
        made.append(Block(f"{path.name}:{line}", match["info"].strip(), match["text"], prints))
    return made


def run(wanted: Sequence[Block], folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run the blocks in one bash, as if typed one after the other; answers what each of them prints."""
    mark = "--- the block at {} is over"
    script = ["set -eu -o pipefail", "trap 'echo \"This failed: $BASH_COMMAND\" >&2' ERR"]
    for block in wanted:
        script += [block.text, f"printf '\\n%s\\n' '{mark.format(block.place)}'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr}"
    return list(_cut(done.stdout, [mark.format(block.place) for block in wanted]))


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether this was printed, `…` in a line standing for any text and alone on a line for any lines."""
    pattern = ""
    for line in shown.strip().splitlines():
        if line.strip() == ANYTHING:
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += re.escape(line.rstrip()).replace(re.escape(ANYTHING), r"[^\n]*?") + r"[ \t\r]*\n"
    return re.fullmatch(pattern, f"{printed.strip()}\n") is not None


def _cut(output: str, marks: Sequence[str]) -> Iterator[str]:
    for mark in marks:
        printed, _, output = output.partition(f"\n{mark}\n")
        yield printed

"""Make ptb_tokens.tsv.gz and caption_scores.npz with pycocoevalcap 1.2 (needs Java): run me in this folder.

All sentences and captions are made here; none is taken from a data set. The tests load this file for its generators
and, where pycocoevalcap and Java are installed, for the comparison with the live program.
"""

from __future__ import annotations

import gzip
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NEUTRAL = "zz"  # stands between sentences, because the program looks at the first word of the next line

# Sentences for the tokeniser ---------------------------------------------------------------------------------------


def _parts() -> dict[str, list[str]]:
    """Sections of sentence_parts.txt; a line is a part, invisible characters are escaped."""
    sections: dict[str, list[str]] = {}
    for line in (HERE / "sentence_parts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and line != "[]":
            sections[line[1:-1]] = []
        else:
            part = chr(int(line[2:], 16)) if re.fullmatch(r"\\[xu][0-9a-f]+", line) else line
            sections[list(sections)[-1]].append(part)
    return sections


PARTS = _parts()


def sentences(seed: int, number: int) -> list[str]:
    """Distinct sentences: captions full of hard cases, and shreds put together without sense."""
    source = random.Random(seed)
    sentence_kinds = [PARTS[kind] for kind in ("subjects", "verbs", "objects", "places")]
    found: dict[str, None] = {}
    while len(found) < number:
        if source.random() < 0.6:
            parts = [source.choice(kind) for kind in sentence_kinds]
            text = " ".join(parts).strip()
            if source.random() < 0.3:
                text = text[0].upper() + text[1:]
            if source.random() < 0.1:
                text = text.replace("'", "\u2019")
        else:
            pieces = (
                source.choice(PARTS["pieces"]) + " " * (source.random() < 0.5) for _ in range(source.randint(1, 8))
            )
            text = "".join(pieces).strip()
        if text:
            found[text] = None
    return list(found)


def program_tokens(texts: list[str]) -> list[list[str]]:
    """Tokens of each text from the tokeniser program in pycocoevalcap, punctuation removed by pycocoevalcap's list."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).parent / ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt", delete=False) as file:
        file.write("".join(f"{text}\n{NEUTRAL}\n" for text in texts))
    try:
        main = ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", file.name]
        done = subprocess.run(["java", "-cp", str(jar), *main], capture_output=True, check=True)
    finally:
        os.unlink(file.name)
    lines = done.stdout.decode().split("\n")[:-1]
    assert lines[1::2] == [NEUTRAL] * len(texts)
    return [
        [token for token in line.split(" ") if token and token not in ptbtokenizer.PUNCTUATIONS] for line in lines[::2]
    ]


# Captions for the metrics --------------------------------------------------------------------------------------------


def scene(source: random.Random) -> list[str]:
    """Words of which the captions of one picture are made."""
    return [source.choice(PARTS[kind]) for kind in ("nouns", "nouns", "kinds", "doings", "spots")]


def describe(words: list[str], source: random.Random) -> str:
    """One of the ways to say a scene, sometimes with a word of another."""
    one, two, kind, doing, spot = (
        a if source.random() < 0.85 else b for a, b in zip(words, scene(source), strict=True)
    )
    return source.choice(
        [
            f"a {kind} {one} is {doing} a {two} in {spot}",
            f"a {one} {doing} a {kind} {two}",
            f"there is a {kind} {one} and a {two} in {spot}",
            f"the {one} and the {two} are in {spot}",
            f"{one} {doing} {two}",
            f"a {one} that is {doing} a {two} that is {kind} near {spot}",
        ]
    )


def caption_sets(seed: int) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Candidates and references of several corpora, tokenised."""
    source = random.Random(seed)
    scenes = [scene(source) for _ in range(1200)]
    likely = (
        [describe(words, source) for words in scenes],
        [[describe(words, source) for _ in range(source.randint(1, 6))] for words in scenes],
    )

    def noise() -> str:
        words = source.choice([["a"], ["a", "b"], [f"w{n}" for n in range(8)], [f"w{n}" for n in range(200)]])
        return " ".join(source.choice(words) for _ in range(source.choice([0, 1, 1, 2, 3, 5, 8, 13, 25])))

    references = [[noise() for _ in range(source.randint(1, 6))] for _ in range(1200)]
    wild = ([source.choice(item) if source.random() < 0.2 else noise() for item in references], references)
    hard = ["3\xa01/2 cups", "a a a a", "a", "zebra", "x y z", "-lrb- a -rrb-"]
    return {
        "likely": likely,
        "wild": wild,
        "single": (["a dog runs in the park"], [["a dog runs in a park", "the dog is running"]]),
        "hard": (hard, [[text, text + " " + text] for text in reversed(hard)]),
    }


def program_scores(candidates: list[str], references: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """BLEU-1 to 4, ROUGE-L and CIDEr(-D) from pycocoevalcap: corpus `(6,)` and items `(6, N)`."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    truth = dict(enumerate(references))
    given = {number: [caption] for number, caption in enumerate(candidates)}
    bleu, bleus = Bleu(4).compute_score(truth, given, verbose=0)
    rouge, rouges = Rouge().compute_score(truth, given)
    cider, ciders = Cider().compute_score(truth, given)
    return np.array([*bleu, rouge, cider]), np.array([*bleus, rouges, ciders])


def main() -> None:
    """Write both files."""
    texts = sentences(seed=2015, number=6000)
    lines = "".join(f"{text}\t{' '.join(tokens)}\n" for text, tokens in zip(texts, program_tokens(texts), strict=True))
    (HERE / "ptb_tokens.tsv.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    arrays = {}
    for name, (candidates, references) in caption_sets(seed=2015).items():
        arrays[f"{name}_corpus"], arrays[f"{name}_items"] = program_scores(candidates, references)
    np.savez_compressed(HERE / "caption_scores.npz", **arrays)


if __name__ == "__main__":
    main()

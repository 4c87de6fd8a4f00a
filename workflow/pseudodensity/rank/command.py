"""The command `pseudodensity`: what users ask for without a workflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

from pseudodensity.artifacts import one_line
from pseudodensity.features.packaged import PACKAGED
from pseudodensity.rank.extractors import PIXELS, choose_extractor
from pseudodensity.rank.photographs import outputs_in, rank_photographs

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; its exit status: 0, 1 with one line on stderr, or 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    # As in the pipeline's jobs: sums of several threads differ in the last digit.
    torch.set_num_threads(1)
    try:
        return _rank(given)
    except (ValueError, OSError) as error:
        print(f"pseudodensity: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pseudodensity: stopped; the same command starts again", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pseudodensity")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rank = commands.add_parser(
        "rank",
        help="rank photographs from unusual to typical, and find near-duplicates",
        description="Write a table, a picture and a page of photographs, the least dense first.",
    )
    rank.add_argument("photos", metavar="PHOTOS", help="a folder, searched to the bottom, or a zip")
    rank.add_argument("--out", required=True, metavar="DIR", help="where the results go")
    rank.add_argument(
        "--extractor",
        metavar="NAME",
        help=f"whose features are compared: {', '.join([*PACKAGED, PIXELS])} "
        "(default: the first that is installed)",
    )
    rank.add_argument("--weights", metavar="FILE", help="or the weights of a timm model")
    rank.add_argument("--name", metavar="TIMM_NAME", help="and the name of that model")
    rank.add_argument("--k", type=int, default=10, help="neighbours of the density (default: 10)")
    rank.add_argument(
        "--resolution",
        type=int,
        metavar="R",
        help="side in pixels to which images are reduced (default: what the extractor looks at)",
    )
    rank.add_argument("--mirror", action="store_true", help="a flipped image counts as a copy")
    rank.add_argument(
        "--max-unreadable",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of files that may be unreadable (default: 0.1)",
    )
    return parser


def _rank(given: argparse.Namespace) -> int:
    choice = choose_extractor(given.extractor, given.weights, given.name)
    for note in choice.notes:
        print(note, file=sys.stderr)
    print(f"features: {choice.name}, {choice.extractor.size} px", file=sys.stderr)
    folder, facts = rank_photographs(
        given.photos,
        given.out,
        choice,
        k=given.k,
        resolution=given.resolution,
        mirror=given.mirror,
        max_unreadable=given.max_unreadable,
    )
    counts, settings = facts["counts"], facts["settings"]
    print(
        f"{counts['files']} files = {counts['kept']} kept + {counts['copies']} copies in "
        f"{counts['groups']} groups + {counts['rejected']} rejected"
    )
    print(
        f"near-duplicates: up to {settings['threshold']:.4g}, {settings['share']:g} of the median "
        "distance to the tenth neighbour, in pixels at 16 px"
    )
    for note in facts["notes"][len(choice.notes) :]:
        print(note)
    print(outputs_in(folder).html)
    return 0

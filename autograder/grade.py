"""Grade submissions:       python autograder/grade.py PATH... [--out DIR]
Zip reports for upload:  python autograder/grade.py feedback DIR --canvas | --moodle
Write oral questions:    python autograder/grade.py viva DIR

PATH is a zip, a submission's folder, or a folder of these. Student code runs only in a sandbox.
"""

import argparse
import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from autograder.output.ending import run_command
from autograder.text import (
    InputError,
    check_folder,
    check_installed,
    did_you_mean,
    not_installed,
    number,
    one_line,
    visible,
)

try:
    from autograder.batch import Order, grade_all
    from autograder.course.manual import merge_manual
    from autograder.course.people import Course, seat
    from autograder.course.regrade import (
        check_rubric,
        compare,
        concerned,
        in_words,
        retested,
        write_changes,
    )
    from autograder.course.roster import keep_roster, read_roster
    from autograder.examine import IS_STARTER
    from autograder.hints import hints
    from autograder.output.feedback import feedback_command
    from autograder.output.pages import write_class, write_submission
    from autograder.output.sheets import contested, recipients, without_key, write_sheets
    from autograder.output.stored import keep_places, load_grades
    from autograder.output.terminal import table
    from autograder.reading.submission import Refused, find_submissions, hash_of_file, names_of
    from autograder.results import NOT_ATTEMPTED, PASSED, Grade, PartResult
    from autograder.rubric import DEFAULT as RUBRIC
    from autograder.rubric import Rubric, load_rubric
    from autograder.sandbox.limits import SandboxError

    check_installed("torch")  # the sandbox imports it later
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)


def parse_args() -> argparse.Namespace:
    """Parse and check the command line; a wrong one exits with code 2."""
    parser = argparse.ArgumentParser(description="Grade submissions.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the results go (default grades)"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes (default all cores)",
    )
    parser.add_argument(
        "--rubric",
        type=Path,
        default=RUBRIC,
        metavar="FILE",
        help="the rubric, such as an edition's (default: autograder/rubric.yaml)",
    )
    parser.add_argument("--only", metavar="PART", help="test only this part")
    parser.add_argument("--public", action="store_true", help="run the tests that students have")
    parser.add_argument("--seed", type=int, metavar="N", help="repeat the hidden tests of a run")
    parser.add_argument("--resume", action="store_true", help="skip what DIR has grades for")
    parser.add_argument(
        "--manual", type=Path, metavar="FILE.csv", help="add points given by people"
    )
    parser.add_argument("--roster", type=Path, metavar="FILE.csv", help="who is in the course")
    parser.add_argument("--against", type=Path, metavar="OLD", help="list changes since OLD")
    parser.add_argument("--part", metavar="PART", help="retest this part for all who attempted it")
    parser.add_argument("--hint", metavar="ID", help="retest those who got this hint")
    parser.add_argument("--similarity", action="store_true", help="also compare the submissions")
    parser.add_argument("--dask", metavar="ADDRESS", help="grade on a Dask cluster")
    parser.add_argument(
        "--trust", action="store_true", help="grade even where a submission could grade itself"
    )
    args = parser.parse_args()
    if (args.part or args.hint) and not args.paths:
        parser.error("--part and --hint need the paths of the submissions to choose from")
    if not (args.paths or args.manual or args.roster or args.against):
        parser.error("name a zip, a submission's folder, or a folder of them")
    if args.jobs < 1:
        parser.error("--jobs must be at least 1")
    if args.seed is not None and args.seed < 0:
        parser.error("--seed must be 0 or more")
    if args.only and (args.part or args.hint):
        parser.error("--only cannot be combined with --part or --hint")
    args.public |= IS_STARTER  # a starter has no hidden tests
    for flag, module in (("similarity", "similarity"), ("dask", "cluster")):
        if getattr(args, flag) and not (ROOT / "autograder" / "extras" / f"{module}.py").exists():
            parser.error(f"--{flag} is for instructors; this copy of the grader does not have it")
    if args.out is None and not args.public:
        args.out = Path("grades")
    flags = "resume manual roster against part hint similarity".split()
    needing = [f"--{flag}" for flag in flags if getattr(args, flag)]
    if args.out is None and needing:
        parser.error(f"{needing[0]} needs --out DIR")
    return args


def main() -> int:
    """Grade, write, print; returns the exit code."""
    if sys.argv[1:2] == ["feedback"]:
        return feedback_command(sys.argv[2:])
    if sys.argv[1:2] == ["viva"] and (ROOT / "autograder" / "extras" / "viva").exists():
        from autograder.extras.viva.command import viva_command

        return viva_command(sys.argv[2:])
    args = parse_args()
    rubric = load_rubric(args.rubric)
    hints()  # read now, so that a mistake in hints.yaml shows before anything is graded
    check_part(args, rubric)
    paths = find_submissions([path.absolute() for path in args.paths]) if args.paths else []
    for flag, file in (("--manual", args.manual), ("--roster", args.roster)):
        if file and not file.is_file():
            raise InputError(f"{flag}: there is no file {file}")
    stored: dict[str, Grade] = {}
    if args.out:
        paths = [path for path in paths if args.out.absolute() not in (path, *path.parents)]
        stored = {grade.submission: grade for grade in load_grades(args.out)}
    names = names_of(paths, stored)
    if args.out:
        check_stored(stored, set(names.values()), args)
        if args.roster:
            read_roster(args.roster)  # its mistakes show before anything is graded
    old = results_of(args.against) if args.against else None
    concerns = {name: {args.only} if args.only else set() for name in names.values()}
    if args.part or args.hint:
        concerns = concerned(stored.values(), args.part, args.hint, concerns)
    only = tuple(sorted(set().union(*concerns.values())))
    own = IS_STARTER or all(path.resolve() == ROOT for path in paths)
    trust = args.trust or own  # your own work needs no protection from itself
    private = private_paths(paths, args.out)
    order = Order(rubric, seed_of(args, stored), args.public, only, trust, names, private)
    left = [p for p in paths if names[p] in concerns]
    if len(left) < len(paths):
        print(f"{len(left)} of {len(paths)} submissions to retest")
    left = [p for p in left if not (args.resume and is_done(stored.get(names[p]), p, order))]
    if args.out:
        again = {names[path] for path in left} if not only else set()
        check_rubric((stored[name] for name in stored.keys() - again), rubric, args.out)
        check_folder(args.out)
        keep_places(args.out, names)
    if args.resume and len(left) < len(paths):
        print(f"{len(paths) - len(left)} of {len(paths)} are graded already")
    if left and not args.public:
        print(f"seed {order.seed}: --seed {order.seed} repeats these tests")
    all_passed = grade_left(left, order, args, stored, concerns, old, own)
    if args.similarity:
        from autograder.extras.similarity import write_similarity

        write_similarity(paths, args.out, names=names)
    return 1 if args.public and not all_passed else 0


def grade_left(
    left: list[Path],
    order: Order,
    args: argparse.Namespace,
    stored: dict[str, Grade],
    concerns: dict[str, set[str]],
    old: list[Grade] | None,
    own: bool,
) -> bool:
    """Grade, write and print; returns whether every required test passed (see `is_fine`).

    Args:
        stored: results of earlier runs, by submission.
        concerns: ids of the parts to test, by submission; empty for all.
        old: results to compare with (--against).
        own: whether the submissions are the grading person's own work.
    """
    rubric = order.rubric
    all_passed, holes, others = True, {}, []
    try:
        for done, grade in enumerate(run(left, order, args), start=1):
            all_passed &= all(is_fine(part, rubric) for part in grade.parts)
            if grade.hole and not own:
                holes.setdefault(grade.hole, []).append(grade.submission)
            before = stored.get(grade.submission)
            if args.out and before and is_of_other_files(before, grade, order):
                others.append(grade.submission)
            elif args.out:
                again = concerns[grade.submission]
                whole = retested(before, grade, again) if before and again else grade
                write_submission(whole, rubric, args.out)
            print(f"\n{done} of {len(left)}: " if len(left) > 1 else "\n", end="")
            print(table(grade, rubric), flush=True)
    finally:
        if args.out:
            summarise(args.out, args.manual, args.roster, rubric, old)
        for hole, names in holes.items():  # last, so that it stays on the screen
            print(f"Warning, graded without full protection ({len(names)}): {one_line(hole)}")
        for name in others:
            print(
                f"{one_line(name)} keeps its earlier points: its files or the kind of tests are "
                "others than then; to have all of it graded, leave out --only, --part and --hint"
            )
    return all_passed


def check_part(args: argparse.Namespace, rubric: Rubric) -> None:
    """Raise InputError unless --only and --part name parts that are tested automatically."""
    automatic = [part.id for part in rubric.parts if part.automatic]
    for flag, part in (("--only", args.only), ("--part", args.part)):
        if part and part not in automatic:
            guess = did_you_mean(part, automatic)
            listed = ", ".join(automatic)
            raise InputError(f"{flag}: there is no part '{part}'{guess}; the parts are {listed}")


def results_of(folder: Path) -> list[Grade]:
    """The results for --against, read before any is overwritten; InputError if there are none."""
    found = load_grades(folder) if folder.is_dir() else []
    if not found:
        raise InputError(f"--against: {folder} holds no results; name the --out folder of a run")
    return found


def seed_of(args: argparse.Namespace, stored: dict[str, Grade]) -> int:
    """The seed of the hidden tests: the given one, the resumed run's, or a new one."""
    if args.seed is not None:
        return args.seed
    seeds = Counter(grade.seed for grade in stored.values() if grade.public == args.public)
    if seeds and (args.resume or args.part or args.hint):
        return seeds.most_common(1)[0][0]
    return secrets.randbelow(2**31)


def private_paths(paths: list[Path], out: Path | None) -> tuple[str, ...]:
    """Folders that no worker may read: those of several submissions, and of the grades."""
    folders = {path.parent for path in paths} if len(paths) > 1 else set()
    return tuple(sorted(str(path.absolute()) for path in folders | ({out} if out else set())))


def is_fine(part: PartResult, rubric: Rubric) -> bool:
    """Whether a part passed or need not: a person grades it, or it is a bonus not attempted."""
    if part.points is None or part.status == PASSED:
        return True
    return part.status == NOT_ATTEMPTED and rubric.part(part.id).bonus


def run(paths: list[Path], order: Order, args: argparse.Namespace) -> Iterator[Grade]:
    """Yield the grades as they are done, on this machine or on a cluster."""
    if args.dask:
        from autograder.extras.cluster import grade_on_cluster

        return grade_on_cluster(paths, order, args.dask)
    return grade_all(paths, order, args.jobs)


def summarise(
    folder: Path,
    manual: Path | None,
    people: Path | None,
    rubric: Rubric,
    old: list[Grade] | None = None,
) -> None:
    """Write the sheets, the overview and the reports, with the points that people gave.

    Args:
        manual: CSV of points that people gave.
        people: a roster that replaces the one stored in the folder.
        old: earlier results, to report what changed since.

    Raises:
        InputError: the manual file has mistakes; everything else is written first.
    """
    found = load_grades(folder)
    if not found:
        return
    roster, mistakes = keep_roster(folder, people), None
    try:
        final = merge_manual(found, rubric, folder, manual, roster)
    except InputError as error:
        mistakes, final = error, merge_manual(found, rubric, folder, roster=roster)
    course = seat(final, roster, rubric.hand_ins) if roster else None
    for grade, merged in zip(found, final, strict=True):
        write_submission(grade, rubric, folder, merged)
    write_sheets(final, rubric, folder, course)
    write_class(final, rubric, folder, course, old)
    names = one_line(f"{folder / 'grades.csv'}, {folder / 'index.html'}")
    print(f"{names}: {len(final)} submission{'s' * (len(final) != 1)}")
    print("".join(f"{one_line(line)}\n" for line in left_out(final, course)), end="")
    if old is not None:
        changes = compare(old, found)
        write_changes(changes, folder)
        print("\n".join(in_words(changes, old, found)))
    if mistakes:
        raise mistakes


def left_out(grades: list[Grade], course: Course | None) -> Iterator[str]:
    """Lines that say who is left out of the sheets, and why."""
    heading, lacking = without_key(recipients(grades, course))
    if lacking:
        names = ", ".join(map(str, lacking[:5])) + (" and others" if len(lacking) > 5 else "")
        yield f"Left out of moodle.csv, {len(lacking)} without {heading.lower()}: {names}"
    if course is None:
        for netid, found in contested(grades).items():
            totals = ", ".join(f"{grade.submission} ({number(grade.total)})" for grade in found)
            yield f"Left out of canvas.csv and moodle.csv: {netid}, a member of {totals}"
        return
    graded = sum(one.grade is not None for one in course.seats)
    yield f"{graded} of {len(course.seats)} people on the roster have a grade"
    for one in course.undecided():
        yield f"Left out of the sheets: {one.person}: {one.note}"
    for grade in course.unmatched(grades):
        yield f"{grade.submission}: {course.remarks(grade)[-1]}"


def check_stored(stored: dict[str, Grade], names: set[str], args: argparse.Namespace) -> None:
    """Check that --out holds the earlier results that --resume, --manual and others build on.

    Raises:
        InputError: it holds none, or only other submissions': --out is probably mistyped.
    """
    flags = [flag for flag in ("manual", "roster", "part", "hint") if getattr(args, flag)]
    if flags and not stored and (not names or flags[-1] in ("part", "hint")):
        flag = f"--{flags[-1]}"
        raise InputError(f"{flag}: {args.out} holds no results; name their folder with --out DIR")
    if args.resume and not stored:
        raise InputError(
            f"--resume: {args.out} holds no results to continue; name the folder of the stopped "
            "run with --out DIR, or leave out --resume"
        )
    if args.resume and not names & set(stored):
        raise InputError(
            f"--resume: {args.out} holds results of other submissions, such as {min(stored)}, but "
            "of none of these; name another folder with --out DIR, or leave out --resume"
        )


def is_done(grade: Grade | None, path: Path, order: Order) -> bool:
    """Whether a stored grade is complete, of these same files, and from the same kind of tests."""
    if grade is None or grade.public != order.public or order.only:
        return False
    return path.is_dir() or grade.sha256 == hash_of_file(path)


def is_of_other_files(before: Grade, now: Grade, order: Order) -> bool:
    """Whether the parts now tested are not of the files, or the kind of tests, of the others.

    Students may test one part after each change of their own work.
    """
    if not order.only or (before.public and now.public):
        return False
    return (before.sha256, before.public) != (now.sha256, now.public)


if __name__ == "__main__":
    try:
        run_command(main)
    except (InputError, Refused, SandboxError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # such as a full disk
        name = one_line(str(error.filename or "a file"))
        print(f"error: {name}: {error.strerror or error}", file=sys.stderr)
        print("finished grades are kept; --resume continues", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped: finished grades are kept; --resume continues", file=sys.stderr)
        sys.exit(130)

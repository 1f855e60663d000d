"""Executes the notebooks from top to bottom. Called by `make notebooks`.

    python scripts/python/notebooks.py [--check] [NAME …]

Without --check each notebook is written back with what it printed and drew, but for anything that tells of the machine or the
time. An error of a cell ends it with exit code 1, as do outputs that hold an absolute path of this machine or its name, or are
larger than 1.5 MB together: they are committed.
"""

import argparse
import pathlib
import socket
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
LARGEST = 1_500_000  # bytes of all notebooks
SECONDS = 900  # that a cell may take on a machine that is busy


def joined(outputs):
    """Outputs, with what was printed in pieces as one."""
    whole = []
    for o in outputs:
        if o.output_type == "stream" and whole and whole[-1].output_type == "stream":
            whole[-1].text += o.text
        else:
            whole.append(o)
    return whole


def clean(book):
    """Leaves what is the same wherever and whenever the notebook is executed."""
    book.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}})
    for i, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"cell-{i}", nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = joined(o for o in cell.outputs if o.output_type != "stream" or o.name == "stdout")  # the rest is progress


def problems(text):
    """What of a notebook's text is not for others to see."""
    private = {str(ROOT), str(pathlib.Path.home()) + "/", "/tmp/", socket.gethostname()}
    return sorted(p for p in private if len(p) > 3 and p in text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="execute, and leave the files as they are")
    parser.add_argument("names", nargs="*", help="the notebooks' files; by default all")
    args = parser.parse_args()
    paths = [pathlib.Path(n).resolve() for n in args.names] or sorted(FOLDER.glob("*.ipynb"))
    failed, size = False, 0
    for path in paths:
        book = nbformat.read(path, as_version=4)
        began = time.monotonic()
        try:
            NotebookClient(book, kernel_name="python3", timeout=SECONDS, startup_timeout=SECONDS,
                           resources={"metadata": {"path": str(FOLDER)}}).execute()
        except CellExecutionError as e:
            print(f"{path.name}: {e}", file=sys.stderr)
            failed = True
            continue
        clean(book)
        text = nbformat.writes(book)
        size += len(text)
        found = problems(text)
        if found:
            print(f"{path.name}: its text holds {', '.join(found)}", file=sys.stderr)
            failed = True
        elif not args.check:
            path.write_text(text + "\n")
        print(f"{path.name}: {time.monotonic() - began:.0f} s, {len(text) / 1e3:.0f} kB", flush=True)
    if size > LARGEST:
        print(f"{size / 1e6:.2f} MB of notebooks, expected {LARGEST / 1e6} at most", file=sys.stderr)
        failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())

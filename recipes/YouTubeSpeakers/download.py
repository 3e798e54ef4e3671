#!/usr/bin/env python3
"""Fetches recordings from the net, as a table names them.

> python download.py sources.csv recordings

``sources.csv`` has the columns ``speaker,url,start,stop,gender``; the last
three may be empty. Recordings go to ``recordings/<speaker>/``, as training
takes them, each with a ``.json`` of its title, channel, licence and date. Given
again, the command fetches what is missing. Addresses that fail are listed in
``recordings/not_fetched.csv``; it then ends with the exit code 1, and with 2
where the table cannot be understood or nothing can be written.

Whether you may fetch and use the recordings, and whether those who speak agree,
is yours to check.
"""

import argparse
import logging
import sys
from pathlib import Path

from speechbrain_siamese.dataio.download import download, write_people
from speechbrain_siamese.dataio.sources import read_sources
from speechbrain_siamese.utils.room import told_writing
from speechbrain_siamese.utils.whole_file import check_writable, write_table


def main() -> int:
    """Fetch; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", help="the table")
    parser.add_argument("folder", type=Path, help="where recordings go")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return _fetch(options.sources, options.folder)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _fetch(table: str, folder: Path) -> int:
    """Fetch what a table names; the exit code."""
    listed = folder / "not_fetched.csv"
    sources = read_sources(table)
    with told_writing("recordings", folder):
        # Before hours of fetching.
        check_writable(listed)
        write_people(sources, folder)
    failed = download(sources, folder)
    if not failed:
        listed.unlink(missing_ok=True)
        return 0
    write_table(
        listed,
        ("speaker", "url", "start", "stop", "reason"),
        [
            (one.speaker, one.url, one.start, one.stop, reason)
            for one, reason in failed.items()
        ],
    )
    print(f"{len(failed)} of {len(sources)} failed: see {listed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

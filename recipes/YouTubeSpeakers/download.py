#!/usr/bin/env python3
"""Fetches recordings from the net, as a table names them.

> python download.py sources.csv recordings

``sources.csv`` has the columns ``speaker,url,start,stop,gender``; the last
three may be empty. Recordings go to ``recordings/<speaker>/``, as training
takes them, each with a ``.json`` of its title, channel, licence and date. Given
again, the command fetches what is missing. Addresses that fail are listed in
``recordings/not_fetched.csv``; it then ends with the exit code 1.

Whether you may fetch and use the recordings, and whether those who speak agree,
is yours to check.
"""

import argparse
import logging
import sys
from pathlib import Path

from speechbrain_siamese.dataio.download import download, write_people
from speechbrain_siamese.dataio.sources import read_sources
from speechbrain_siamese.utils.whole_file import write_table


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
        sources = read_sources(options.sources)
        write_people(sources, options.folder)
        failed = download(sources, options.folder)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    listed = options.folder / "not_fetched.csv"
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

"""Commands that only fetch: a registry or the way to it fails now and then, so they are tried three times."""
import re
import subprocess
import sys
import time

PAUSES = (3, 15)  # seconds before the second and the third time


def fetched(command, ours=None, pauses=PAUSES, **options):
    """Runs `command` until it succeeds, three times at most; returns the last outcome, with what it said as text. `ours`: where
    its output matches, what failed is not the fetching, and again would be the same."""
    for pause in (*pauses, None):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
        said = done.stdout + done.stderr
        if done.returncode == 0 or pause is None or ours and re.search(ours, said):
            return done
        print(f"fetching fails, again in {pause} s: {said.strip()[-300:]}", file=sys.stderr, flush=True)
        time.sleep(pause)

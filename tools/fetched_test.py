"""What only fetches is tried three times, unless what it says shows that it is not the fetching that failed."""
import contextlib
import io
import os
import tempfile
import unittest

from fetched import fetched


class Fetched(unittest.TestCase):
    def tries(self, succeeds_at, says="no way to host", **more):
        """How often a command ran that succeeds at that try, and how it ended."""
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()):
            script = f'echo >> tried; [ "$(wc -l < tried)" = {succeeds_at} ] || {{ echo "{says}"; exit 7; }}'
            done = fetched(["sh", "-c", script], pauses=(0, 0), cwd=directory, **more)
            with open(os.path.join(directory, "tried")) as f:
                return len(f.readlines()), done.returncode

    def test_until_it_succeeds(self):
        self.assertEqual([self.tries(n) for n in (1, 2, 3)], [(1, 0), (2, 0), (3, 0)])

    def test_three_times_at_most(self):
        self.assertEqual(self.tries(4), (3, 7))

    def test_once_where_it_is_ours(self):
        self.assertEqual(self.tries(2, says="COMPILATION ERROR", ours="COMPILATION ERROR"), (1, 7))
        self.assertEqual(self.tries(2, ours="COMPILATION ERROR"), (2, 0))


if __name__ == "__main__":
    unittest.main()

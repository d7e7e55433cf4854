"""A claimed port is one process's, and never one that the kernel hands out."""
import socket
import subprocess
import sys
import unittest
from unittest import mock

import claimed_ports


class ClaimedPorts(unittest.TestCase):
    def test_no_port_is_claimed_twice(self):
        ports = [claimed_ports.claim_port() for _ in range(50)]
        self.assertEqual(len(set(ports)), 50)
        first, last = claimed_ports.handed_out()
        self.assertFalse([p for p in ports if first <= p <= last])

    def test_ports_of_others_are_passed_over(self):
        free = claimed_ports.claim_port()
        claimed_ports.release_port(free)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            taken = s.getsockname()[1]
            with mock.patch.object(claimed_ports, "candidates", lambda: [taken, free]):
                self.assertEqual(claimed_ports.claim_port(), free)
                with self.assertRaises(OSError):
                    claimed_ports.claim_port()

    def test_another_process_keeps_what_it_claimed_until_it_ends(self):
        script = "import claimed_ports; print(claimed_ports.claim_port(), flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", script], cwd=sys.path[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as other:
            port = int(other.stdout.readline())
            with mock.patch.object(claimed_ports, "candidates", lambda: [port]):
                with self.assertRaises(OSError):
                    claimed_ports.claim_port()
                other.communicate("\n")
                self.assertEqual(claimed_ports.claim_port(), port)


if __name__ == "__main__":
    unittest.main()

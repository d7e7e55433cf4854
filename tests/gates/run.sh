#!/usr/bin/env bash
# Builds what the clockless gates need and runs them; ends with "N passed, N failed". Called by ./test gates.
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=()
for tool in strace valgrind; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
cmake --preset release >/dev/null
cmake --build build/release -j"$(nproc)" --target millrace kload gate_allocations gate_instructions >/dev/null
python3 tests/gates/gates.py --self-test >/tmp/gates-self-test.$$ || { cat /tmp/gates-self-test.$$; echo "0 passed, 1 failed"; exit 1; }
tail -1 /tmp/gates-self-test.$$; rm -f /tmp/gates-self-test.$$
exec python3 tests/gates/gates.py "$@"

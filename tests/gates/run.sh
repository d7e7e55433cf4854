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
cmake --build build/release -j"$(nproc)" --target millrace kload groupload gate_allocations gate_instructions >/dev/null
status=0
if self_test=$(python3 tests/gates/gates.py --self-test); then
  echo "ok   self-test: every gate can fail"
else
  echo "$self_test" | sed 's/^/  /'
  echo "FAIL self-test: a gate cannot fail"
  status=1
fi
python3 tests/gates/gates.py "$@" || status=1
exit "$status"

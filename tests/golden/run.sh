#!/usr/bin/env bash
# Compares our codecs with the classes in Apache Kafka's client jar, byte for byte, both ways.
#   tests/golden/run.sh [--build DIR] [--seed N] [--per N]   DIR holds a built wire_golden (default build/dev)
#   tests/golden/run.sh --sample                             writes the committed sample again
# Exit: 0 all equal, 1 something differs, 77 could not run (says what could not be reached).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$top/build/dev
seed=$(date +%s)
per=24
sample=
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$(cd "$2" && pwd); shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    --per) per=$2; shift 2 ;;
    --sample) sample=1; shift ;;
    *) echo "usage: $0 [--build DIR] [--seed N] [--per N] [--sample]" >&2; exit 2 ;;
  esac
done

tool=$(find "$build" -name wire_golden -type f -perm -u+x | head -1)
[ -n "$tool" ] || { echo "no wire_golden below $build: build that target first" >&2; exit 2; }
for program in java javac mvn; do
  command -v "$program" >/dev/null || { echo "not run: no $program on this machine"; exit 77; }
done

version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/java/pom.xml")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/wire-golden-$(cat "$here/java/pom.xml" "$here"/java/src/main/java/golden/*.java | sha256sum | cut -c1-16)
if [ ! -e "$cache/complete" ]; then
  mkdir -p "$cache/lib" "$cache/classes"
  if ! mvn -q -B -f "$here/java/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DoutputDirectory="$cache/lib" -DincludeScope=runtime >"$cache/maven.log" 2>&1; then
    tail -5 "$cache/maven.log"
    echo "not run: could not reach Maven for kafka-clients $version"
    exit 77
  fi
  javac -d "$cache/classes" -cp "$cache/lib/*" "$here"/java/src/main/java/golden/*.java
  touch "$cache/complete"
fi
golden() { java -cp "$cache/classes:$cache/lib/*" golden.Golden "$@"; }

if [ -n "$sample" ]; then
  file=$here/frames-kafka-clients-$version.tsv
  work=$(mktemp)
  golden write "$work" 1 2 $("$tool" keys)
  { echo "# Written by tests/golden/run.sh --sample with kafka-clients $version. key, kind, version, exact, bytes, values."
    cat "$work"; } >"$file"
  rm -f "$work"
  "$tool" check "$file"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "kafka-clients $version, seed $seed, $per frames per message and version"
outcome=0
golden write "$work/java.tsv" "$seed" "$per" $("$tool" keys)
"$tool" check "$work/java.tsv" || outcome=1
"$tool" write "$work/ours.tsv" "$seed" "$per"
golden check "$work/ours.tsv" || outcome=1
exit $outcome

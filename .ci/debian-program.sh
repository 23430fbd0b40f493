#!/usr/bin/env bash
# Makes sure the real Prometheus and its promtool are there, for the tests that let them read a host's metrics, and prints
# the folder that has them.
#
# Those on PATH are taken if there are any. Else Debian's package is fetched, once, and unpacked below target/, which needs
# neither root nor an installation. Tests call this, several at a time: they wait for one another.
set -euo pipefail
cd "$(dirname "$0")/.."

FOLDER=$PWD/target/prometheus

die() { printf 'prometheus: %s\n' "$*" >&2; exit 1; }

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  dirname "$(command -v promtool)"
  exit 0
fi

mkdir -p "$FOLDER"
exec 9>"$FOLDER/lock"
flock 9
if [ ! -x "$FOLDER/promtool" ]; then
  command -v apt-get >/dev/null || die "not found on PATH, and this machine has no apt-get; install prometheus (https://prometheus.io)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # As whoever runs this: apt would else change to a user who cannot write here.
  apt() { (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@" >&2); }
  if ! apt download prometheus 2>"$work/why"; then
    # The lists of packages are missing or old, and updating the machine's own needs root: these are for this once.
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    own=(-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache")
    apt "${own[@]}" update || die "the lists of Debian's packages cannot be fetched"
    apt "${own[@]}" download prometheus || die "Debian's package cannot be fetched"
  fi
  dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -x -C "$work" ./usr/bin/prometheus ./usr/bin/promtool
  # The one that is looked for comes last.
  mv "$work/usr/bin/prometheus" "$work/usr/bin/promtool" "$FOLDER/"
fi
echo "$FOLDER"

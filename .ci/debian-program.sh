#!/usr/bin/env bash
# Makes sure that programs of a Debian package are there, which tests run beside the host, and prints the folder that has
# them:
#
#   debian-program.sh prometheus prometheus promtool
#
# Those on PATH are taken if all are there. Else Debian's package is fetched, once, and unpacked below target/, which needs
# neither root nor an installation. Tests call this, several at a time: they wait for one another.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGE=$1
shift
PROGRAMS=("$@")
FOLDER=$PWD/target/$PACKAGE

die() { printf '%s: %s\n' "$PACKAGE" "$*" >&2; exit 1; }

if command -v "${PROGRAMS[@]}" >/dev/null && [ "$(command -v "${PROGRAMS[@]}" | wc -l)" = ${#PROGRAMS[@]} ]; then
  dirname "$(command -v "${PROGRAMS[0]}")"
  exit 0
fi

mkdir -p "$FOLDER"
exec 9>"$FOLDER/lock"
flock 9
# The one that is looked for comes last.
LAST=${PROGRAMS[-1]}
if [ ! -x "$FOLDER/$LAST" ]; then
  command -v apt-get >/dev/null || die "not found on PATH, and this machine has no apt-get to fetch it with"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # As whoever runs this: apt would else change to a user who cannot write here.
  apt() { (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@" >&2); }
  if ! apt download "$PACKAGE" 2>"$work/why"; then
    # The lists of packages are missing or old, and updating the machine's own needs root: these are for this once.
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    own=(-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache")
    apt "${own[@]}" update || die "the lists of Debian's packages cannot be fetched"
    apt "${own[@]}" download "$PACKAGE" || die "Debian's package cannot be fetched"
  fi
  dpkg-deb --fsys-tarfile "$work/$PACKAGE"_*.deb | tar -x -C "$work" "${PROGRAMS[@]/#/./usr/bin/}"
  mv "${PROGRAMS[@]/#/$work/usr/bin/}" "$FOLDER/"
fi
echo "$FOLDER"

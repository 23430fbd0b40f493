#!/usr/bin/env bash
# Serves this flow, sends one question and one feedback, and shows the answers beside the trace. `make demo` runs it.
#
#   demo.sh WEIR     serves on 127.0.0.1:8080 until Ctrl-C; LISTEN=ADDR serves elsewhere
#   ONCE=1 demo.sh WEIR     ends after the two requests, and serves on a port that is free
set -euo pipefail

weir=$1
here=$(dirname "$0")
listen=${LISTEN:-127.0.0.1:8080}
[ -z "${ONCE:-}" ] || listen=${LISTEN:-127.0.0.1:0}

# What weir writes comes through a pipe, so that the line with its address can be waited for.
folder=$(mktemp -d)
mkfifo "$folder/out"
"$weir" serve "$here" --listen "$listen" --admin-listen 127.0.0.1:0 >"$folder/out" &
server=$!
exec 3<"$folder/out"
rm -r "$folder"
trap 'kill -TERM $server 2>/dev/null || true' EXIT INT TERM

address=
while [ -z "$address" ] && read -r line <&3; do
  printf '%s\n' "$line"
  case $line in "listening on "*) address=${line#listening on } ;; esac
done
[ -n "$address" ] || { wait $server; exit 1; }
cat <&3 &
printer=$!

python3 "$here/client.py" "$address"

if [ -n "${ONCE:-}" ]; then
  kill -TERM $server
else
  printf 'still listening on %s; Ctrl-C ends it\n' "$address"
fi
# Waiting ends early when Ctrl-C has been passed on: wait again for the end itself.
status=0
wait $server || status=$?
[ "$status" -lt 128 ] || { status=0; wait $server || status=$?; }
wait $printer || true
trap - EXIT INT TERM
exit "$status"

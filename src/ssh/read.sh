[ -f "$1" ] || { echo "not a regular file" >&2; exit 1; }
[ "$(wc -c <"$1")" -le 1048576 ] || { echo "larger than 1 MiB" >&2; exit 1; }
cat "$1"

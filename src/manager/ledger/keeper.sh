# Keeps a ledger on this machine for a gapless on another one, which speaks to it over ssh: the directory, the files and
# their locks are those of a gapless here. The lock of the ledger is held by this shell: it lasts as long as the other end
# of the connection, and no longer than 60 s after it was last heard of.
#
# Arguments: `list`, `new`, or `hold NAME [PID]`, where PID is that of a keeper of the same run which lost its connection.
# Answers: any number of lines `f STATE NAME` and `= TEXT`, then `ok ...` or `no REASON`. What is asked: `b` (nothing),
# `a TEXT` (add a line), `c` (lock the directory and list the others), `u` (unlock it), `r` (remove the ledger).
fail() { echo "no $*"; exit 1; }
mode=$1 n=${2:-} old=${3:-}
umask 077
u=$(id -u)
if [ "$u" = 0 ]; then
  d=/run/gapless
else
  r=${XDG_RUNTIME_DIR:-/run/user/$u}
  if [ -d "$r" ]; then d=$r/gapless; else d=/tmp/gapless-$u; fi
fi
mkdir "$d" 2>/dev/null
[ -h "$d" ] && fail "$d: it is a symbolic link"
cd "$d" 2>/dev/null || fail "$d: it cannot be entered"
case "$(ls -ldn . | { read -r a b c z; echo "$a $c"; })" in
"drwx------ $u" | "drwx------. $u") ;;
*) fail "$d: its owner or mode is not ours alone" ;;
esac
exec 8<.
lock() { flock -w 20 8 || fail "$d: another run has locked it for 20 s"; }
ours() {
  case "$(ls -ln "$1" | { read -r a b c z; echo "$a $b $c"; })" in
  "-rw------- 1 $u" | "-rw-------. 1 $u") ;;
  *) fail "$d/$1: others may have written to it: its kind, owner, mode or number of links is not ours" ;;
  esac
}
show() { while IFS= read -r x; do printf "= %s\n" "$x"; done; }
list() {
  for f in *.jsonl; do
    [ "$f" = "$n" ] && continue
    [ -e "$f" ] || [ -h "$f" ] || continue
    ours "$f"
    exec 7<"$f"
    if flock -n 7; then echo "f dead $f"; flock -u 7; else echo "f live $f"; fi
    show <&7
    exec 7<&-
  done
}
take_over() {
  [ -n "$old" ] && [ "$(readlink "/proc/$old/fd/9")" = "$(pwd -P)/$n" ] && kill "$old" && flock -w 10 9 && return
  fail "$d/$n: another run holds it"
}
add() {
  s=$(wc -c <"$n")
  if printf "%s\n" "$1" >&9 && sync "$n"; then echo "ok"; else truncate -s "$s" "$n"; echo "no it cannot be written"; fi
}
lock
case "$mode" in
list)
  list
  echo "ok $$ $d"
  exit
  ;;
new)
  i=0
  while n=$$-$i.jsonl; do
    (set -C && : >"$n") 2>/dev/null && break
    [ -e "$n" ] || fail "$d: no file can be made there"
    i=$((i + 1))
  done
  exec 9>>"$n"
  flock -n 9 || fail "$d/$n: another run holds it"
  ;;
hold)
  [ -e "$n" ] || fail "$d/$n: it is gone"
  ours "$n"
  exec 9>>"$n"
  flock -n 9 || take_over
  show <"$n"
  ;;
esac
flock -u 8
echo "ok $$ $d $n"
while l=$(timeout 60 head -n 1 8<&- 9>&-); do
  case "$l" in
  "a "*) add "${l#a }" ;;
  b) echo "ok" ;;
  c) lock; list; echo "ok" ;;
  u) flock -u 8; echo "ok" ;;
  r) lock; rm -f "$n"; flock -u 8; echo "ok"; exit ;;
  *) break ;;
  esac
done

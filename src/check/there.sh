# What runs for a unit, as far as this user may look. Arguments: its control group and its main process; empty for none.
# Prints `pid N` for each of its processes, `inode N` for each socket that they hold, `systemd N` for each that systemd
# holds, `tcp ADDRESS N` for each listener as /proc/net/tcp has it, and of the main process's environment whether it could
# be read (`environment`) and whether sockets were passed (`passed`).
group=$1 main=$2
for root in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  [ -n "$group" ] && [ -d "$root$group" ] || continue
  processes=$(find "$root$group" -name cgroup.procs -exec cat {} + 2>/dev/null)
  break
done
sockets() { ls -l "/proc/$1/fd" 2>/dev/null | sed -n "s/.*socket:\[\([0-9]*\)\]$/$2 \1/p"; }
for process in ${processes:-}; do
  echo "pid $process"
  sockets "$process" inode
done
sockets 1 systemd
[ -n "$main" ] || exit 0
if [ -r "/proc/$main/environ" ] && grep -q . "/proc/$main/environ" 2>/dev/null; then
  echo "environment"
  if tr "\000" "\n" <"/proc/$main/environ" | grep -q "^LISTEN_FDS="; then echo "passed"; fi
fi
cat "/proc/$main/net/tcp" "/proc/$main/net/tcp6" 2>/dev/null | grep " 0A " |
  while read -r a local b c d e f g h inode rest; do echo "tcp $local $inode"; done
exit 0

# What runs for a unit, as far as this user may look. Arguments: its control group and its main process; empty for none.
# Prints `pid N` for each of its processes, `inode N` for each socket that they hold, `systemd N` for each that systemd
# holds, `tcp ADDRESS N` for each listener as /proc/net/tcp has it, `udp ADDRESS N` for each socket that is not connected,
# `ports FIRST LAST` for those that the kernel gives to clients, and of the main process's environment whether it could be
# read (`environment`) and whether sockets were passed (`passed`).
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
bound() { while read -r a local b c d e f g h inode rest; do echo "$1 $local $inode"; done; }
cat "/proc/$main/net/tcp" "/proc/$main/net/tcp6" 2>/dev/null | grep " 0A " | bound tcp
cat "/proc/$main/net/udp" "/proc/$main/net/udp6" 2>/dev/null | grep " 07 " | bound udp
# read(1) takes one byte at a time, of which these files give the first alone.
set -- $(cat /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null)
[ $# = 2 ] && echo "ports $1 $2"
exit 0

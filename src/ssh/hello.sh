# What a machine says of itself: `word value` a line, then the end mark. After that it answers each line with its
# CLOCK_MONOTONIC in ns, or where only /proc/uptime may be read, in seconds; and ends with its input.
has() { command -v "$1" >/dev/null 2>&1; }
echo "gapless-hello"
echo "uid $(id -u)"
echo "name $(uname -n)"
echo "kernel $(uname -r)"
read -r boot </proc/sys/kernel/random/boot_id
echo "boot $boot"
if [ -d /run/systemd/system ]; then echo "systemd yes"; fi
for tool in systemd-stdio-bridge flock timeout head truncate; do
  if has "$tool"; then echo "has $tool"; fi
done
set -- ${SSH_CONNECTION:-}
echo "address ${3:-}"
echo "gapless-ready"
while read -r line; do
  if [ -r /proc/timer_list ]; then
    { read -r a; read -r a; read -r a; } </proc/timer_list
    echo "${a:-}"
  else
    read -r a b </proc/uptime
    echo "up $a"
  fi
done

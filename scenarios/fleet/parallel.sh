#!/usr/bin/env bash
# Three generators by GNU parallel. With --sshlogin host1,host2,host3 each runs on another machine, and its folder comes back:
#   parallel --sshlogin host1,host2,host3 -j1 --return out/{#} --cleanup ...
# usage: parallel.sh URL DURATION
set -euo pipefail
start_at=@$(($(date +%s) + 5))
seq 3 | parallel -j3 gapless watch "$1" --duration "$2" --shard auto/3 --start-at "$start_at" --out 'out/{#}' --summary
gapless merge out/1 out/2 out/3 --out merged

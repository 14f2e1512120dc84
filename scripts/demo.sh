#!/bin/sh
# The main job, end to end: an embedded broker on loopback and the example programs against it.
# Every line below is one that a newcomer can type.
set -eu

programs=target/examples-c
work=$(mktemp -d)
mkfifo "$work/stop"

# The broker runs until its standard input closes; it prints its address.
"$programs/embedded" 3 num.partitions=4 <"$work/stop" >"$work/address" &
broker=$!
exec 3>"$work/stop"
finish() {
    exec 3>&-
    wait "$broker" || true
    rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 100); do
    [ -s "$work/address" ] && break
    sleep 0.1
done
address=$(cat "$work/address")
[ -n "$address" ] || {
    echo "the embedded broker did not start" >&2
    exit 1
}

run() {
    echo
    echo "\$ $*"
    "$@"
}

echo "An embedded broker of three nodes listens on $address"
at="bootstrap.servers=$address"
run "$programs/quickstart" "$address"
run "$programs/publish" fruit "$at"
run "$programs/cluster" "$at"
run "$programs/consume" -n 6 fruit "$at"
echo
echo "\$ seq 1 100000 | $programs/produce numbers $at"
seq 1 100000 | "$programs/produce" numbers "$at"
echo
echo "\$ $programs/consume -n 100000 numbers $at | tail -n 3"
"$programs/consume" -n 100000 numbers "$at" | tail -n 3
run "$programs/throughput" load "$at"
echo
echo "Done: everything that was published was consumed."

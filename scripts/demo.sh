#!/bin/sh
# The main job, end to end: an embedded broker on loopback and the example programs against it.
# Every line below is one that a newcomer can type.
set -eu

programs=target/examples-c

. scripts/embedded.sh
trap stop_embedded EXIT
start_embedded 3 num.partitions=4

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
echo "The same programs on Kafka 0.7, which is found through ZooKeeper alone"
stop_embedded
start_embedded legacy 2 2
echo "A ZooKeeper listens on $address; two brokers of 0.7 have registered themselves there"
at="zookeeper.connect=$address"
run "$programs/publish" fruit "$at"
run "$programs/cluster" "$at"
run "$programs/consume" -n 6 fruit "$at"
echo
echo "\$ seq 1 100000 | $programs/produce numbers $at"
seq 1 100000 | "$programs/produce" numbers "$at"
echo
echo "\$ $programs/consume -n 100000 numbers $at | tail -n 3"
"$programs/consume" -n 100000 numbers "$at" | tail -n 3
echo
echo "\$ seq -f 'line %g' 1 5 | $programs/log_publisher log $at"
seq -f 'line %g' 1 5 | "$programs/log_publisher" log "$at"
run "$programs/consume" -n 5 log "$at"
echo
echo "Done: everything that was published was consumed."

#!/usr/bin/env bash
# Writes tests/golden/partitioners-*.txt anew: what the partitioners of Java's client, librdkafka and
# PyKafka choose. Needs a JDK of 17 or newer, mvn, and python3 with venv.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=$here/../../target
"$here/fetch-clients.sh"

python=$target/python-clients/bin/python
if [ ! -x "$python" ]; then
    python3 -m venv "$target/python-clients"
    "$python" -m pip --quiet install confluent-kafka==2.16.1 pykafka==2.8.0
fi

classes=$(mktemp -d)
trap 'rm -r "$classes"' EXIT
jars=$target/kafka-clients/jars
path=$jars/kafka-clients-4.3.1.jar:$jars/slf4j-api-1.7.36.jar
javac -cp "$path" -d "$classes" "$here/GoldenPartitioners.java"
keys=$("$python" "$here/golden_partitioners.py" keys)
java -cp "$classes:$path" org.apache.kafka.clients.producer.internals.GoldenPartitioners "$keys" \
    > "$classes/java" 2> "$classes/log" || { cat "$classes/log" >&2; exit 1; }
"$python" "$here/golden_partitioners.py" librdkafka > "$classes/librdkafka"
"$python" "$here/golden_partitioners.py" pykafka > "$classes/pykafka"
mv "$classes/java" "$here/partitioners-java-4.3.1.txt"
mv "$classes/librdkafka" "$here/partitioners-librdkafka-2.16.1.txt"
mv "$classes/pykafka" "$here/partitioners-pykafka-2.8.0.txt"

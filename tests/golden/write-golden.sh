#!/usr/bin/env bash
# Writes tests/golden/messages-<version>.txt and records-<version>.txt anew with Kafka's own classes (needs a JDK of 17 or newer, and mvn).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
"$here/fetch-clients.sh"
jars=$here/../../target/kafka-clients/jars
others=$(find "$jars" -name '*.jar' ! -name 'kafka-clients-*' | tr '\n' ':')
for version in 3.9.2 4.3.1; do
    java -cp "$jars/kafka-clients-$version.jar:$others" "$here/GoldenMessages.java" \
        > "$here/messages-$version.txt.part"
    mv "$here/messages-$version.txt.part" "$here/messages-$version.txt"
    "$here/golden-records.sh" "$version" write > "$here/records-$version.txt.part"
    mv "$here/records-$version.txt.part" "$here/records-$version.txt"
done
java -cp "$jars/kafka-clients-4.3.1.jar:$others" "$here/GoldenAssignors.java" 150 1 > "$here/assignors-4.3.1.txt.part"
mv "$here/assignors-4.3.1.txt.part" "$here/assignors-4.3.1.txt"

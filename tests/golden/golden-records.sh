#!/usr/bin/env bash
# Runs GoldenRecords.java with the classes of one version of kafka-clients (JDK 17 or newer).
#
#   golden-records.sh 4.3.1 write  > tests/golden/records-4.3.1.txt     (write-golden.sh does)
#   golden-records.sh 4.3.1 verify < lines of "name hex"
set -euo pipefail

version=$1 mode=$2
here=$(cd "$(dirname "$0")" && pwd)
jars=$here/../../target/kafka-clients/jars
source=$(mktemp -d)
trap 'rm -r "$source"' EXIT
# The record classes moved to an internal package after 4.0.
case $version in
    3.*) sed 's/common\.record\.internal\./common.record./' "$here/GoldenRecords.java" ;;
    *) cat "$here/GoldenRecords.java" ;;
esac > "$source/GoldenRecords.java"
others=$(find "$jars" -name '*.jar' ! -name 'kafka-clients-*' | tr '\n' ':')
java -cp "$jars/kafka-clients-$version.jar:$others" "$source/GoldenRecords.java" "$mode"

#!/bin/sh
# Ends what a test run left behind, however that run ended.
#
# Reads lines from the run: "process PID START" and "folder PATH". When the run is over its end of
# the pipe closes, also after SIGKILL; then every process still alive is killed and every folder is
# removed. START is the process's start time (field 22 of /proc/PID/stat), so that a recycled PID
# never costs another process its life.
trap '' INT TERM HUP
processes='' folders=''
while read -r what one two; do
    case $what in
        process) processes="$processes $one:$two" ;;
        folder) folders="$folders $one" ;;
    esac
done
for entry in $processes; do
    pid=${entry%%:*} start=${entry##*:}
    now=$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
    [ "$now" = "$start" ] && kill -9 "$pid"
done
for folder in $folders; do
    # A process killed just now may still be writing.
    for _ in 1 2 3 4 5; do
        rm -rf "$folder"
        [ -e "$folder" ] || break
        sleep 0.2
    done
done

#!/bin/sh
# What the compilers do not look at: shell syntax, stray white space, notes left behind.
set -eu

status=0
complain() {
    echo "$1" >&2
    status=1
}

for script in $(git ls-files '*.sh' .ci/run); do
    case $(head -n 1 "$script") in
        *bash*) bash -n "$script" || status=1 ;;
        *) sh -n "$script" || status=1 ;;
    esac
done

texts=$(git ls-files '*.rs' '*.c' '*.h' '*.hpp' '*.py' '*.rb' '*.go' '*.sh' '*.md' '*.toml' '*.java')
# shellcheck disable=SC2086 # a list of files
if grep -nE '[[:space:]]+$' $texts; then
    complain 'stray white space at the end of the lines above'
fi
# shellcheck disable=SC2086
if grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $texts | grep -v '^scripts/lint-text.sh'; then
    complain 'finish or file the notes above'
fi
exit $status

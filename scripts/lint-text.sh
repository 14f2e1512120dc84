#!/bin/sh
# What the compilers do not look at: C's formatting, shell syntax, stray white space, notes left behind.
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
# Versions differ in taste: only Debian 12's decides, where it is.
if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    # shellcheck disable=SC2046 # a list of files
    clang-format --dry-run --Werror $(git ls-files '*.c' 'examples-c/*.h' 'tests/*.h' 'bench/*.h') ||
        complain 'make fmt formats C'
fi
exit $status

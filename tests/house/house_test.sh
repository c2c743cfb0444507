#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The house rules that a program can look at: licence lines, layout, lengths, shell scripts, man pages,
# and a reference without a warning. A tool that is not there is named, and its part left out.
set -u
bad=0
complain() {
    echo "$*"
    bad=1
}

files=$(git ls-files 2>/dev/null || find . -path ./build -prune -o -type f -print | sed 's|^\./||')
code=$(echo "$files" | grep -E '\.(c|h)$')

echo "licence lines"
for file in $(echo "$files" | grep -E '\.(c|h|py|sh|cmake|in|map|bash|[17])$|CMakeLists.txt$'); do
    head -4 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || complain "$file: no SPDX line"
done

echo "lengths"
for file in $(echo "$files" | grep -E '\.(c|h|py|sh)$'); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || complain "$file: $lines lines, more than 600"
done
# shellcheck disable=SC2016 # awk expands these
long=$(echo "$code" | grep -E '^(lib|tools)/.*\.c$' | xargs awk '
    FNR == 1 { depth = 0 }
    {
        text = $0; opened = gsub(/\{/, "", text); closed = gsub(/\}/, "", text)
        if (depth == 0 && opened > 0) start = FNR
        depth += opened - closed
        if (depth <= 0) {
            if (start > 0 && FNR - start > 60) print FILENAME ":" start ": " FNR - start " lines"
            depth = 0; start = 0
        }
    }' | grep -v '^lib/packet/link.c:') # one case a link type
[ -z "$long" ] || complain "functions of more than 60 lines: $long"

echo "layout"
if command -v clang-format-14 >/dev/null 2>&1; then
    # Public headers are set by hand: their comments stand in columns.
    for file in $(echo "$code" | grep -v '^include/'); do
        clang-format-14 --dry-run -Werror "$file" >/dev/null 2>&1 || complain "$file: run clang-format-14 -i"
    done
else
    echo "  left out: no clang-format-14"
fi

echo "shell scripts"
if command -v shellcheck >/dev/null 2>&1; then
    # shellcheck disable=SC2046 # names without blanks
    shellcheck -x $(echo "$files" | grep -E '\.sh$|^\.ci/run$') || bad=1
else
    echo "  left out: no shellcheck"
fi

echo "man pages"
if command -v mandoc >/dev/null 2>&1; then
    # shellcheck disable=SC2046
    mandoc -T lint -W warning $(echo "$files" | grep -E '^man/.*\.[17]$') || bad=1
else
    echo "  left out: no mandoc"
fi

echo "reference"
if command -v doxygen >/dev/null 2>&1; then
    work=$(mktemp -d)
    sed -e "s|@PROJECT_BINARY_DIR@|$work|; s|@PROJECT_SOURCE_DIR@|$PWD|; s|@PROJECT_[A-Z]*@|x|" \
        docs/Doxyfile.in >"$work/Doxyfile"
    doxygen "$work/Doxyfile" >"$work/log" 2>&1 || { cat "$work/log"; complain "doxygen has warnings"; }
    rm -rf "$work"
else
    echo "  left out: no doxygen"
fi
exit $bad

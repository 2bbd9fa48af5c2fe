#!/bin/sh
# replay.sh - each fuzz target once over its corpus. Works with libFuzzer's main() and with replay.c's.
set -eu
failed=0
for corpus in "$top_srcdir"/tests/fuzz/corpus/*/; do
	name=$(basename "$corpus")
	target=$top_builddir/tests/fuzz/fuzz_$name
	if ! "$target" "$corpus"* >"fuzz_$name.out" 2>&1; then
		echo "fuzz_$name fails on its corpus:"
		cat "fuzz_$name.out"
		failed=1
	fi
	rm -f "fuzz_$name.out"
done
exit $failed

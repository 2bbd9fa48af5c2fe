#!/bin/sh
# run.sh SECONDS TARGET... - libFuzzer on each target for so long. What it finds worth keeping goes to tests/fuzz/found/
# in the build folder; an input that breaks a promise is left there as crash-*, to become a file of the corpus.
set -eu
seconds=$1
shift
failed=0
for target in "$@"; do
	name=$(basename "$target" | sed 's/^fuzz_//')
	seeds=$top_srcdir/tests/fuzz/corpus/$name
	words=$top_srcdir/tests/fuzz/$name.dict
	found=tests/fuzz/found/$name
	mkdir -p "$found"
	dict=
	[ ! -f "$words" ] || dict=-dict=$words
	echo "fuzz_$name, $seconds s"
	if "./$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
		${dict:+"$dict"} -print_final_stats=1 -artifact_prefix="$found/" "$found" "$seeds" >"$found.log" 2>&1; then
		grep -E 'number_of_executed_units|average_exec_per_sec' "$found.log" | sed 's/^stat::/  /'
		grep -E 'cov:' "$found.log" | tail -1 | sed 's/^#[0-9]*/ /'
	else
		tail -40 "$found.log"
		failed=1
	fi
done
exit $failed

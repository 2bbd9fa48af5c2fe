#!/bin/sh
# tests/limit.sh PROGRAM [ARG]... - runs a test of make check for at most TEST_LIMIT_S seconds (600). One that hangs fails, with
# the stacks of its threads where gdb is installed, instead of keeping all that comes after it waiting.
limit=${TEST_LIMIT_S:-600}
if [ "$1" != --inside ]; then
	exec timeout --foreground -k 60 "$limit" "$0" --inside "$@"
fi
shift

# Where every thread of the test stands, and which processes there are.
tell() {
	echo "$*: not over after $limit s"
	for task in /proc/"$test"/task/*; do
		echo "$(cat "$task"/comm) $(cut -d ' ' -f 3 "$task"/stat) in $(cat "$task"/wchan 2>/dev/null)"
	done
	if command -v gdb >/dev/null; then
		timeout -k 5 40 gdb -p "$test" -batch -ex 'thread apply all bt 20' </dev/null 2>/dev/null | grep -v '^\[New LWP'
	fi
	ps -eo pid,ppid,stat,time,args | cut -c 1-200
}
trap 'tell "$@"; kill -9 "$test"; exit 1' TERM
"$@" &
test=$!
wait "$test"

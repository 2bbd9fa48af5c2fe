#!/bin/sh
# hardened.sh - are the programs built as hardened as configure means them to be? Read from the files themselves, since
# a flag that got lost on its way is not seen anywhere else. Sanitized builds and builds without -O are not judged.
set -eu
cd "${top_builddir:-.}"
command -v objdump >/dev/null || { echo "no objdump"; exit 77; }
failed=0

# expect PROGRAM WHAT PATTERN: the text on stdin matches.
expect() {
	grep -q -E "$3" && return
	echo "$1: no $2"
	failed=1
}

for program in tollgate tollgate-engine; do
	symbols=$(readelf -W --syms "$program")
	case $symbols in *__asan_init* | *__tsan_init*) exit 77 ;; esac
	readelf -h "$program" | expect "$program" "position-independent executable" '^ *Type: *DYN'
	readelf -W -l "$program" | expect "$program" "interpreter: it is a library" 'INTERP'
	readelf -W -l "$program" | expect "$program" "read-only relocations" 'GNU_RELRO'
	readelf -W -d "$program" | expect "$program" "binding of all symbols at start" 'FLAGS.*NOW'
	readelf -W -l "$program" | expect "$program" "stack without execution" 'GNU_STACK.* RW +0x'
	echo "$symbols" | expect "$program" "stack protector" '__stack_chk_fail'
	if readelf -W -d "$program" | grep -E 'TEXTREL|RPATH|RUNPATH'; then
		echo "$program: that must not be"
		failed=1
	fi
	grep -q '^CFLAGS = .*-O[1-9s]' Makefile || continue
	echo "$symbols" | expect "$program" "FORTIFY" '__(v?[fs]?n?printf|mem(cpy|move|set)|read|recv|poll|realpath)_chk'
	[ "$(uname -m)" = x86_64 ] || continue
	code=$(mktemp)
	objdump -d "$program" >"$code"
	sed -n '/<main>:/,+1p' "$code" | expect "$program" "protection of control flow" 'endbr64'
	# A frame larger than a page is entered page by page, never in one step.
	if grep -E 'sub +\$0x[0-9a-f]{4,7},%rsp' "$code" | grep -v 'sub *\$0x1000,%rsp'; then
		echo "$program: these steps over more than a page are not probed"
		failed=1
	fi
	rm -f "$code"
done
exit $failed

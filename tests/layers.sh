#!/bin/sh
# layers.sh - do the #include lines follow the arrows of the house?
#
#                 base            libc, jansson
#               /   |   \
#        pricing    |    engine   base, libevent, PCRE2, CUDA
#               \   |
#               policies          base, pricing, PCRE2
#                   |
#                gateway          all of these but engine; libevent, zlib, zstd
#
# Within gateway/ a library has one room: curl in upstream/, SQLite and libpq in ledger/, OpenSSL in server/, so that a
# test can put something else in its place. pricing/ and policies/ are pure: no clock, log, threads or random numbers.
# What is only for tests (test*, bench*, fixture*) follows the arrows of its room, with the libraries that it likes.
set -eu
cd "${top_srcdir:-.}"
find base pricing policies engine gateway schemas \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) -print |
	sort | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include' /dev/null |
	awk '
BEGIN {
	rooms["base"] = "base schemas"
	rooms["schemas"] = "schemas"
	rooms["pricing"] = "base pricing schemas"
	rooms["engine"] = "base engine"
	rooms["policies"] = "base pricing policies schemas"
	rooms["gateway"] = "base pricing policies gateway schemas"

	# header (by its beginning) -> the folders that may include it; headers that are not named here are libc
	only["event2/"] = "engine gateway"
	only["pcre2"] = "engine policies"
	only["jansson"] = "base pricing policies engine gateway"
	only["curl/"] = "gateway/upstream"
	only["sqlite3"] = "gateway/ledger"
	only["libpq"] = "gateway/ledger"
	only["openssl/"] = "gateway/server"
	only["zlib"] = "gateway"
	only["zstd"] = "gateway"
	only["cuda"] = "engine"
	only["cublas"] = "engine"
	only["mma"] = "engine"
	only["cmocka"] = ""

	impure["base/clock.h"] = impure["base/log.h"] = impure["pthread.h"] = impure["threads.h"] = 1
	impure["time.h"] = impure["unistd.h"] = 1
	impure["sys/random.h"] = impure["sys/socket.h"] = impure["sys/time.h"] = impure["stdatomic.h"] = 1
}
function allowed(list, dir,    i, n, parts) {
	n = split(list, parts, " ")
	for (i = 1; i <= n; i++)
		if (dir == parts[i] || index(dir "/", parts[i] "/") == 1)
			return 1
	return 0
}
function complain(why) {
	print where ": " why
	bad = 1
}
{
	split($0, f, ":")
	where = f[1] ":" f[2]
	file = f[1]
	dir = file
	sub(/\/[^\/]*$/, "", dir)
	room = file
	sub(/\/.*/, "", room)
	if (!match($0, /[<"][^>"]*[>"]/))
		next
	quoted = substr($0, RSTART, 1) == "\""
	header = substr($0, RSTART + 1, RLENGTH - 2)
	is_test = file ~ /\/(test|bench|fixture)[^\/]*$/
	if (quoted && header == "config.h")
		next
	if (quoted) {
		target = header
		sub(/\/.*/, "", target)
		if (target == "tests" && is_test)
			next
		if (!(target in rooms))
			complain("\"" header "\" does not begin with a room of the house")
		else if (!allowed(rooms[room], target))
			complain(room "/ must not know " target "/: \"" header "\"")
	}
	if (!is_test && (room == "pricing" || room == "policies") && header in impure)
		complain(room "/ is pure: no " header)
	if (is_test || quoted)
		next
	for (h in only)
		if (index(header, h) == 1 && !allowed(only[h], dir))
			complain("<" header "> belongs into " (only[h] == "" ? "tests" : only[h]) " alone")
}
END { exit bad }
'

#!/bin/sh
# bundle.sh FILE... - prints a C table of the files: {name, text}. Each byte as a number: strings have a length limit.
# The table is called bundled_schemas, or as BUNDLE_TABLE says.
set -eu
echo '/* made by schemas/bundle.sh */'
echo '#include "schemas/bundled.h"'
i=0
for f in "$@"; do
	printf 'static const char text_%d[] = {' "$i"
	od -An -v -tu1 "$f" | sed -e 's/^ *//' -e 's/  */,/g' -e 's/$/,/'
	echo '0};'
	i=$((i + 1))
done
echo "const struct bundled_file ${BUNDLE_TABLE:-bundled_schemas}[] = {"
i=0
for f in "$@"; do
	printf '    { "%s", text_%d, sizeof text_%d - 1 },\n' "$(basename "$f")" "$i" "$i"
	i=$((i + 1))
done
echo '    { 0, 0, 0 },'
echo '};'

#!/bin/sh
# sizes.sh - the longest functions and files, to look at. Never fails: a long flat switch is fine.
cd "${top_srcdir:-.}" || exit 0
files=$(find base pricing policies engine gateway tests -name '*.[ch]' -o -name '*.cu' | sort)

echo "longest functions (lines)"
# In our style a function begins with its "{" in the first column and ends with "}" there; its name is on a line above.
awk '
FNR == 1 { open = 0 }
/^[A-Za-z_].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
/^\{/ { open = FNR }
/^\}/ && open { printf "%6d  %s:%d  %s\n", FNR - open - 1, FILENAME, open, name; open = 0 }
' $files | sort -rn | head -20

echo "longest files (lines)"
wc -l $files | grep -v ' total$' | sort -rn | head -12

echo "lines of each room, tests apart"
for room in base pricing policies engine gateway; do
	find "$room" -name '*.[ch]' -o -name '*.cu' | sort | awk -v room="$room" '
		{ file = $0; n = 0; while ((getline line < file) > 0) n++; close(file)
		  if (file ~ /\/test_/) tests += n; else own += n }
		END { printf "%6d  %s (and %d of tests)\n", own, room, tests }'
done
exit 0

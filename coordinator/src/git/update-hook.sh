#!/bin/sh
# Outposts push an attempt's own refs, and nothing else; main moves by the merge queue only.
case "$1" in
refs/sprint/work/*/* | refs/sprint/wip/*/*) ;;
*)
	echo "refused: $1 is not an attempt's ref; the merge queue alone moves branches" >&2
	exit 1
	;;
esac
case "$3" in
*[!0]*) exit 0 ;;
esac
echo "refused: $1 keeps an attempt's work and is not deleted by a push" >&2
exit 1
